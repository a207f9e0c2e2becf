// A QR code, and the same in a dialog over the whole window. Its modules are whole pixels there, so that none is
// blurred.

import { partOf, partOfKind } from "../part.js";

/** @import { Call } from "../types.js" */

const BESIDE = 44; // pixels of height of the button below it

/** @type {(modules: number) => number} */
function side(modules) {
  const fits = Math.min(innerWidth, innerHeight - BESIDE) * devicePixelRatio;
  return Math.max(1, Math.floor(fits / modules)) * modules / devicePixelRatio;
}

/** @type {(call: Call<{ image: string, modules: number }>) => () => void} */
export default function ({ data, parentElement }) {
  const root = partOf(parentElement, ".qr");
  const dialog = partOfKind(root, "dialog", HTMLDialogElement);
  for (const image of root.querySelectorAll("img")) if (image.src !== data.image) image.src = data.image;
  const fit = () => dialog.style.setProperty("--side", `${side(data.modules)}px`);
  partOf(root, "button").onclick = () => {
    fit();
    dialog.showModal();
  };
  partOf(dialog, "button").onclick = () => dialog.close();
  // Escape closes the dialog, and not what the code stands in, which listens at the document.
  /** @type {(event: KeyboardEvent) => void} */
  const onEscape = (event) => {
    if (event.key !== "Escape" || !dialog.open) return;
    event.preventDefault();
    event.stopPropagation();
    dialog.close();
  };
  addEventListener("keydown", onEscape, true);
  addEventListener("resize", fit);
  return () => {
    removeEventListener("keydown", onEscape, true);
    removeEventListener("resize", fit);
  };
}
