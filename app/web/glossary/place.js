// Keeps the word that the address names at the top while the page grows: formulas come later than their text, and
// what stands above moves the word away from where Streamlit scrolled to. Ends with the first move of a hand.

import { partOf } from "../part.js";

/** @import { Call } from "../types.js" */

const HANDS = ["wheel", "touchstart", "pointerdown", "keydown"];

/** @type {WeakMap<Node, () => void>} */
const followed = new WeakMap();

function follow() {
  const page = partOf(document, "[data-testid=stMain]");
  const growth = new ResizeObserver(() => {
    const name = decodeURIComponent(location.hash.slice(1));
    if (name) document.getElementById(name)?.scrollIntoView();
  });
  growth.observe(partOf(page, "[data-testid=stMainBlockContainer]"));
  const end = () => {
    growth.disconnect();
    for (const hand of HANDS) window.removeEventListener(hand, end);
  };
  for (const hand of HANDS) window.addEventListener(hand, end, { passive: true });
  return end;
}

/** @type {(call: Call<null>) => () => void} */
export default function ({ parentElement }) {
  if (!followed.has(parentElement)) followed.set(parentElement, follow());
  return () => {
    followed.get(parentElement)?.();
    followed.delete(parentElement);
  };
}
