// The component of the panes hands its scenes over to the library (`app/components/library.py`), because a component's own
// script is sent again with each of its messages. Its default export must stay synchronous: Streamlit runs the clean-up of
// a call that a newer one has overtaken.
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".live-panes");
  const inbox = (window.resflowLive ??= []);
  inbox.push(["scene", { root, data, setState: setStateValue, setTrigger: setTriggerValue }]);
  return () => window.resflowLive.push(["cleanUp", { root }]);
}
