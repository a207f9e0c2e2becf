// Rules of style that a module brings along for what it draws, in a file beside it.

const MOST_WAIT = 30_000; // milliseconds

/**
 * The text of a file of style. A module that awaits it is not there before its style is; so it is asked for until it
 * comes.
 * @type {(address: URL) => Promise<string>}
 */
export async function styleAt(address) {
  for (let wait = 1000; ; wait = Math.min(2 * wait, MOST_WAIT)) {
    try {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
      return await answer.text();
    } catch (error) {
      console.error(error);
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

// A tree, the page's or a component's own -> by text the elements that hold the rules there.
/** @type {WeakMap<Node, Map<string, HTMLStyleElement>>} */
const applied = new WeakMap();

/**
 * Let rules hold in the tree in which an element stands. They come first in it: a component's own rules overrule
 * them.
 * @type {(element: Element, text: string) => void}
 */
export function applyStyle(element, text) {
  const root = element.getRootNode();
  const tree = root instanceof ShadowRoot ? root : document;
  const styles = applied.get(tree) ?? new Map();
  applied.set(tree, styles);
  if (styles.get(text)?.isConnected) return;
  const style = document.createElement("style");
  style.textContent = text;
  styles.set(text, style);
  (tree === document ? document.body : tree).prepend(style);
}
