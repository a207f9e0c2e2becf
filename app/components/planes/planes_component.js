// The component of the panes hands them over to the library (`app/components/library.py`): a component's own script is
// sent again with each of its messages.
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".planes");
  const hands = { setState: setStateValue, setTrigger: setTriggerValue };
  (window.resflowPlanes ??= []).push(["panes", { root, data, ...hands }]);
  return () => window.resflowPlanes.push(["cleanUp", { root }]);
}
