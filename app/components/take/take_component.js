// A menu that stands alone hands itself over to the library (`app/components/library.py`).
export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector("[data-take]");
  (window.resflowTake ??= []).push(["menu", { host, data, ask: (wanted) => setTriggerValue("asks", wanted) }]);
}
