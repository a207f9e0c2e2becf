// The component of the painter hands over to the library (`app/components/library.py`): a component's own script is sent
// again with each of its messages.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".painter");
  (window.resflowPainter ??= []).push(["plane", { root, data, tell: setTriggerValue }]);
  return () => window.resflowPainter.push(["cleanUp", { root }]);
}
