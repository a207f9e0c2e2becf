// A text, and a button that copies it. Plain http has no clipboard interface, so the older command comes second; the
// text can be selected by hand in any case. What the browser has written into the address of the page is told to the
// server, which makes the links.

import { partOf, partOfKind } from "../part.js";

/** @import { Call } from "../types.js" */

const TOLD_MS = 1500;
const LOOK_MS = 500;
/** @type {WeakMap<Element, ReturnType<typeof setTimeout>>} */
const timers = new WeakMap(); // button -> until when it says what it did

/** @type {(field: HTMLTextAreaElement) => Promise<boolean>} */
async function copy(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    field.focus();
    field.select();
    return document.execCommand("copy");
  }
}

/** @type {(prefix: string) => string} */
function view(prefix) {
  const own = [...new URLSearchParams(location.search)].filter(([name]) => name.startsWith(prefix));
  return new URLSearchParams(own).toString();
}

/** @type {(call: Call<{ text: string, name: string, rows: number, prefix: string, view: string }>) => () => void} */
export default function ({ data, parentElement, setStateValue }) {
  const field = partOfKind(parentElement, "textarea", HTMLTextAreaElement);
  const button = partOf(parentElement, "button");
  const heard = partOf(parentElement, "[aria-live]");
  const label = `Copy ${data.name.toLowerCase()}`;
  field.setAttribute("aria-label", data.name);
  field.rows = data.rows;
  field.classList.toggle("line", data.rows === 1);
  if (field.value !== data.text) field.value = data.text; // a selection survives as long as the text does
  if (!timers.has(button)) button.textContent = label;
  field.onfocus = () => field.select();
  button.onclick = async () => {
    button.textContent = heard.textContent = (await copy(field)) ? "Copied" : "Press Ctrl+C or ⌘C";
    clearTimeout(timers.get(button));
    timers.set(button, setTimeout(() => {
      button.textContent = label;
      heard.textContent = "";
      timers.delete(button);
    }, TOLD_MS));
  };

  // Nothing tells that an address was replaced. While it moves it is not told: each time costs a run of the script.
  let told = data.view;
  let seen = view(data.prefix);
  const tell = () => {
    if (seen !== told) setStateValue("view", (told = seen));
  };
  tell();
  const looking = setInterval(() => {
    const before = seen;
    seen = view(data.prefix);
    if (seen === before) tell();
  }, LOOK_MS);
  return () => clearInterval(looking);
}
