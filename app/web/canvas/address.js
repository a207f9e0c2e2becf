// What is of the view alone in the address: names that begin with "view" (`app.link.VIEW`). They are written in place,
// so that Back goes to another run or screen and not to another zoom; the server never changes them.

export const VIEW = "view";
const ADDRESS_MS = 400; // browsers refuse to be told more than some hundred addresses a minute
/** @type {Map<string, string | null>} */
const unwritten = new Map();

/**
 * The text of a view's name in the address; null where it has none.
 * @type {(name: string) => string | null}
 */
export function viewInAddress(name) {
  const text = unwritten.get(name);
  return text === undefined ? new URLSearchParams(location.search).get(name) : text;
}

/**
 * Write what is shown into the address, in a moment: {name: text, or null for what a page shows by itself}.
 * @type {(changes: Record<string, string | null>) => void}
 */
export function writeView(changes) {
  if (!unwritten.size) setTimeout(flushView, ADDRESS_MS);
  addEventListener("pagehide", flushView); // once, however often it is said
  for (const [name, text] of Object.entries(changes)) unwritten.set(name, text);
}

function flushView() {
  const query = new URLSearchParams(location.search);
  for (const [name, text] of unwritten) {
    if (text === null) query.delete(name);
    else query.set(name, text);
  }
  unwritten.clear();
  const address = `${location.pathname}${query.size ? `?${query}` : ""}${location.hash}`;
  if (address !== `${location.pathname}${location.search}${location.hash}`)
    history.replaceState(history.state, "", address);
}
