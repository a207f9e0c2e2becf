/** A component that leaves out what a newer call has overtaken.

    Streamlit calls a component's script with each of its data, once the script is loaded. Calls that wait for that come in
    any order, and one that a newer one has overtaken is cleaned up as soon as it returns. So what a call asks for is done
    in a task of its own, by which time it is known to be the newest or not. */
function newestAlone(component) {
  return (call) => {
    let [overtaken, cleanUp] = [false, null];
    const { port1, port2 } = new MessageChannel(); // a timer is late on a page in the background
    port1.onmessage = () => {
      port1.close();
      if (!overtaken) cleanUp = component(call);
    };
    port2.postMessage(null);
    return () => {
      overtaken = true;
      cleanUp?.();
    };
  };
}
