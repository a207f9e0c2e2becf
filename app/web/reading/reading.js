// What was open and done when the script last ran, and how often the panel is still to move for it (`settling`), kept
// by the window: Streamlit may build the component anew.

import { partOf } from "../part.js";

/** @import { Call } from "../types.js" */

/** @typedef {Window & { resflowReading?: { step: string, done: string[], settling: number } }} Page */

const page = /** @type {Page} */ (window);

const SETTLES_MS = 250; // Streamlit draws what follows a moment after this
const SLACK = 4; // pixels
const HAND_MS = 500; // within which a panel that moves was moved by a hand
const FOLLOWS_MS = 3000; // a busy server draws what follows in several parts
/** @type {WeakSet<Element>} */
const watched = new WeakSet();
/** @type {{ key: string, until: number } | null} */
let followed = null; // the key of the block that was done just now, and until when it is kept in sight
/** @type {(key: string) => HTMLElement | null} */
const find = (key) => document.querySelector(`.stVerticalBlock.st-key-${CSS.escape(key)}`);

/**
 * How far the panel is scrolled when a block stands at its top, below the line that stays there.
 * @type {(panel: HTMLElement, block: Element) => number}
 */
function place(panel, block) {
  const head = panel.querySelector(".st-key-lesson_head")?.getBoundingClientRect();
  const top = head && getComputedStyle(panel).position === "fixed" ? head.bottom : panel.getBoundingClientRect().top;
  return panel.scrollTop + block.getBoundingClientRect().top - top;
}

/** @type {(panel: HTMLElement) => HTMLElement | null} */
const taskOf = (panel) =>
  panel.querySelector(".st-key-lesson_task")?.closest('[class*="st-key-lesson-"]')?.parentElement ?? null;

/**
 * Down to what was done and what is said after it, as far as both fit between the top and what lies over the text.
 * @type {(panel: HTMLElement, block: Element) => void}
 */
function show(panel, block) {
  const { bottom } = panel.getBoundingClientRect();
  const task = taskOf(panel);
  const isBefore = task && block.compareDocumentPosition(task) & Node.DOCUMENT_POSITION_FOLLOWING;
  const seen = isBefore ? Math.min(bottom, task.getBoundingClientRect().top) : bottom;
  const last = (isBefore ? task.previousElementSibling : null) ?? block;
  const hidden = Math.max(last.getBoundingClientRect().bottom, block.getBoundingClientRect().bottom) - seen;
  const wanted = place(panel, block);
  if (hidden > 0 || wanted < panel.scrollTop) panel.scrollTop = Math.min(wanted, panel.scrollTop + Math.max(hidden, 0));
}

/**
 * Say whether the task, which stays in sight, lies over text that goes on below it.
 * @type {(panel: HTMLElement) => void}
 */
function mark(panel) {
  const task = taskOf(panel);
  const last = task?.previousElementSibling;
  const hides = task && last && last.getBoundingClientRect().bottom > task.getBoundingClientRect().top + SLACK;
  panel.toggleAttribute("data-hides", Boolean(hides));
}

/**
 * While somebody reads what the task lies over, only the beginning of the task stays: it is whole again when it is
 *  touched, when the hand goes to the screen, and where its own place is reached.
 * @type {(panel: HTMLElement, reads: boolean) => void}
 */
function read(panel, reads) {
  const task = taskOf(panel);
  if (task) task.style.setProperty("--task", `${task.offsetHeight}px`);
  panel.toggleAttribute("data-reads", reads && Boolean(task));
}

/**
 * What was unfolded, such as a hint, is seen: the task gives way, and the panel goes as far as is needed.
 * @type {(panel: HTMLElement, fold: Element) => void}
 */
function unfolded(panel, fold) {
  const task = taskOf(panel);
  const isHidden = task && fold.getBoundingClientRect().bottom > task.getBoundingClientRect().top;
  if (!isHidden || !(fold.compareDocumentPosition(task) & Node.DOCUMENT_POSITION_FOLLOWING)) return;
  read(panel, true);
  requestAnimationFrame(() => show(panel, fold));
}

const SCROLLS = new Set(["PageUp", "PageDown", "ArrowUp", "ArrowDown", "Home", "End"]);

/**
 * The hand at the panel: whether it scrolls by the wheel, a finger, the bar or a key, and when it has left.
 * @type {(panel: HTMLElement) => void}
 */
function listen(panel) {
  let moved = -Infinity; // when a hand began to scroll
  const begin = () => { moved = performance.now(); };
  /** @type {(event: Event) => boolean} */
  const inTask = ({ target }) => target instanceof Node && Boolean(taskOf(panel)?.contains(target));
  for (const kind of ["wheel", "touchmove"]) panel.addEventListener(kind, begin, { passive: true });
  panel.addEventListener("pointerdown", (event) => {
    if (event.target === panel) begin(); // its bar
  });
  panel.addEventListener("keydown", (event) => {
    if (SCROLLS.has(event.key) && !inTask(event)) begin();
  });
  panel.addEventListener("scroll", () => {
    if (performance.now() - moved > HAND_MS) return;
    begin(); // a page glides on when the hand is gone
    if (panel.hasAttribute("data-hides")) read(panel, true);
  }, { passive: true });
  panel.addEventListener("toggle", (event) => {
    const fold = event.target;
    if (!(fold instanceof HTMLDetailsElement) || !fold.open || inTask(event)) return;
    setTimeout(() => unfolded(panel, fold), SETTLES_MS);
  }, true);
  for (const kind of ["click", "focusin"]) {
    panel.addEventListener(kind, (event) => inTask(event) && read(panel, false));
  }
  document.addEventListener("pointerdown", ({ target }) => {
    if (panel.isConnected && target instanceof Node && !panel.contains(target)) read(panel, false);
  }, { passive: true });
}

/**
 * So whenever it is scrolled, or something in it has another size; and what was done just now stays in sight while
 * what follows is still being drawn, unless the reader scrolls.
 * @type {(panel: HTMLElement | null) => void}
 */
function watch(panel) {
  if (!panel) return;
  mark(panel);
  if (watched.has(panel)) return;
  watched.add(panel);
  listen(panel);
  const again = () => {
    const block = followed && performance.now() < followed.until && find(followed.key);
    if (block) show(panel, block);
    mark(panel);
  };
  for (const kind of ["scroll", "transitionend"]) panel.addEventListener(kind, () => mark(panel), { passive: true });
  for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"])
    panel.addEventListener(kind, () => { followed = null; }, { passive: true });
  new ResizeObserver(again).observe(panel);
  new MutationObserver(again).observe(panel, { childList: true, subtree: true });
}

/** The screen beside the lesson begins at its top, too. */
function toTop() {
  document.querySelector('[data-testid="stMain"]')?.scrollTo({ top: 0 });
}

/**
 * What lies over the text has the ground of the page, which Streamlit's theme chooses.
 * @type {(panel: HTMLElement | null) => void}
 */
function ground(panel) {
  panel?.style.setProperty("--ground", getComputedStyle(partOf(document, ".stApp")).backgroundColor);
}

/** @type {(call: Call<{ panel: string, step: string, done: string[] }>) => void} */
export default function ({ data }) {
  ground(find(data.panel));
  watch(find(data.panel));
  const before = page.resflowReading;
  const told = { step: data.step, done: data.done, settling: before?.settling ?? 0 };
  page.resflowReading = told;
  if (!before) return;
  const isSame = before.step === data.step;
  const fresh = data.done.filter((key) => !before.done.includes(key));
  if (isSame && !fresh.length) return;
  const now = find(data.panel);
  if (now) read(now, false);
  followed = isSame ? { key: fresh[0], until: performance.now() + FOLLOWS_MS } : null;
  told.settling += 1;
  setTimeout(() => {
    if (page.resflowReading) page.resflowReading.settling -= 1;
    const panel = find(data.panel);
    const block = isSame ? find(fresh[0]) : null;
    if (panel && !isSame) {
      panel.scrollTop = 0;
      toTop();
    } else if (panel && block) show(panel, block);
  }, SETTLES_MS);
}
