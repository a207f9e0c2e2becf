// The component of the panes hands them over to the library (`app/components/library.py`): a component's own script is
// sent again with each of its messages. It is synchronous, since Streamlit runs the clean-up of a call that a newer one
// has overtaken.
export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".planes");
  (window.resflowPlanes ??= []).push(["panes", { root, data, setState: setStateValue }]);
  return () => window.resflowPlanes.push(["cleanUp", { root }]);
}
