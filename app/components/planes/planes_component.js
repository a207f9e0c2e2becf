// The component of the panes hands them over to the library (`app/components/library.py`): a component's own script is
// sent again with each of its messages. It is synchronous, since Streamlit runs the clean-up of a call that a newer one
// has overtaken.
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".planes");
  const hands = { setState: setStateValue, setTrigger: setTriggerValue };
  (window.resflowPlanes ??= []).push(["panes", { root, data, ...hands }]);
  return () => window.resflowPlanes.push(["cleanUp", { root }]);
}
