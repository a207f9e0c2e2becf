// A component's own script: it imports the component's module once for the page, and calls its default export with the
// newest data alone. ADDRESS is where the module is.
//
// Streamlit makes a blob of this script, whose address has no place that others could be found from: hence the whole
// address. It calls the default export with each of its data. Those that have waited for the script come in any order,
// and one that a newer one has overtaken is cleaned up as soon as it returns; others wait here for the module. So what a
// call asks for is done in a task of its own, by which time it is known to be the newest or not. A timer would be late on
// a page in the background.
//
// A module that does not come is asked for again, under another name: browsers remember what has failed. While it is
// away, its place says so.

const at = new URL(ADDRESS, location.origin).href;
const load = (n) => import(n ? `${at}?again=${n}` : at).catch((error) => {
  console.error(error);
  return new Promise((done) => setTimeout(done, Math.min(30000, 1000 * 2 ** n))).then(() => load(n + 1));
});
const loading = ((window.resflowModules ??= {})[at] ??= load(0));
const places = (window.resflowPlaces ??= new WeakMap());
export default (call) => {
  const place = call.parentElement;
  if (!places.has(place)) places.set(place, { calls: [], patience: 0, told: null });
  const waits = places.get(place);
  waits.calls.push(call);
  if (waits.calls.length === 1) waits.patience = setTimeout(() => {
    waits.told = document.createElement("p");
    waits.told.setAttribute("role", "status");
    waits.told.textContent = "This part of the page has not come yet. The browser asks for it again. If it stays away, load the page anew.";
    place.append(waits.told);
  }, 4000);
  const leave = () => {
    waits.calls = waits.calls.filter((one) => one !== call);
    if (waits.calls.length) return;
    clearTimeout(waits.patience);
    waits.told?.remove();
  };
  let cleanUp = null;
  loading.then((module) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      const isNewest = waits.calls.at(-1) === call;
      leave();
      if (isNewest) cleanUp = module.default(call);
    };
    port2.postMessage(null);
  });
  return () => {
    leave();
    cleanUp?.();
  };
};
