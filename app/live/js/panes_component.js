// The component of the panes hands its scenes over; the script that draws them came with Plotly (`mount_library`), because
// a component's own script is sent again with each of its messages. It must stay synchronous and only queue.
export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".live-panes");
  const inbox = (window.resflowLive ??= []);
  inbox.push(["scene", { root, data, setState: setStateValue }]);
  return () => window.resflowLive.push(["cleanUp", { root }]);
}
