// A component's own script: it imports the component's module once for the page, and calls its default export.
// ADDRESS is where the module is.
//
// Streamlit makes a blob of this script, whose address has no place that others could be found from: hence the whole
// address. It calls the default export with each of its data, as soon as the script is there, in any order, and cleans a
// call that a newer one has overtaken up as soon as it returns. So what a call asks for is done in a task of its own, by
// which time it is known to be the newest or not. A timer would be late on a page in the background.
//
// A module that does not come is asked for again, under another name: browsers remember what has failed. While it is
// away, its place says so.

const at = new URL(ADDRESS, location.origin).href;
const load = (n) => import(n ? `${at}?again=${n}` : at).catch((error) => {
  console.error(error);
  return new Promise((done) => setTimeout(done, Math.min(30000, 1000 * 2 ** n))).then(() => load(n + 1));
});
const loading = ((window.resflowModules ??= {})[at] ??= load(0));
export default (call) => {
  let [overtaken, cleanUp, told] = [false, null, null];
  const patience = setTimeout(() => {
    told = document.createElement("p");
    told.setAttribute("role", "status");
    told.textContent = "This part of the page has not come yet. The browser asks for it again. If it stays away, load the page anew.";
    call.parentElement.append(told);
  }, 4000);
  const rest = () => {
    clearTimeout(patience);
    told?.remove();
  };
  loading.then((module) => {
    rest();
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      if (!overtaken) cleanUp = module.default(call);
    };
    port2.postMessage(null);
  });
  return () => {
    overtaken = true;
    rest();
    cleanUp?.();
  };
};
