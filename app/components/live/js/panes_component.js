// The component of the panes hands its scenes over to the library (`app/components/library.py`), because a component's own
// script is sent again with each of its messages.
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".live-panes");
  const inbox = (window.resflowLive ??= []);
  inbox.push(["scene", { root, data, setState: setStateValue, setTrigger: setTriggerValue }]);
  return () => window.resflowLive.push(["cleanUp", { root }]);
}
