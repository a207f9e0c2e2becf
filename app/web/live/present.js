// The presenter's view: planes as large as the window allows, and text for the back of a room. The address says that it
// is open and what it shows; attributes of the page's root element say it to `present.css`, which does the rest.

import { VIEW, viewInAddress, writeView } from "../canvas/address.js";
import { fit, views } from "./element.js";
import { showKeys } from "./keys.js";

/**
 * The window has what outlives its modules: who listens, by name.
 * @typedef {Window & { resflowListening?: Record<string, AbortController> }} Page
 */

const PRESENTED = "present"; // what the address calls it
/** @type {Record<string, string[]>} */
const PARTS = { planes: ["both", "data", "second"], beside: ["both", "question", "picture"] }; // the first by itself
/** @type {(part: string) => string} */
const addressOf = (part) => `${VIEW}.${part}`;
/** @type {{ isOpen: boolean, back: { focused: Element | null, top: number } | null }} */
const presenter = { isOpen: false, back: null /* to the focus and the scroll place that were before */ };

const hasPicture = () => Boolean(document.querySelector(".live-panes"));
export const isPresented = () => presenter.isOpen && hasPicture();
/** @type {(part: string) => string | undefined} */
const partShown = (part) => document.documentElement.dataset[part];

/**
 * Listen to the page until this script comes again: a page that stays open while the server is updated gets another
 * of them.
 * @type {(name: string, listen: (signal: AbortSignal) => void) => void}
 */
export function once(name, listen) {
  const listening = (/** @type {Page} */ (window).resflowListening ??= {});
  listening[name]?.abort();
  listening[name] = new AbortController();
  listen(listening[name].signal);
}

/**
 * The first element in sight that one of these selectors finds.
 * @type {(selectors: string[]) => HTMLElement | undefined}
 */
export function seen(selectors) {
  /** @type {NodeListOf<HTMLElement>} */
  const found = document.querySelectorAll(selectors.join());
  return [...found].find((one) => one.checkVisibility({ visibilityProperty: true }));
}

/** What the address says; for a page that is drawn anew, too. */
export function readPresenter() {
  presenter.isOpen = viewInAddress(VIEW) === PRESENTED;
  for (const [part, all] of Object.entries(PARTS)) {
    const asked = viewInAddress(addressOf(part));
    document.documentElement.dataset[part] = asked && all.includes(asked) ? asked : all[0];
  }
  document.documentElement.toggleAttribute("data-present", presenter.isOpen);
}

function writePresenter() {
  const parts = Object.entries(PARTS).map(([part, all]) => {
    const shown = partShown(part);
    return [addressOf(part), presenter.isOpen && shown !== all[0] ? shown : null];
  });
  writeView({ [VIEW]: presenter.isOpen ? PRESENTED : null, ...Object.fromEntries(parts) });
}

/** Bring the buttons and the size of the picture up to date. */
export function showPresenter() {
  /** @type {NodeListOf<HTMLButtonElement>} */
  const buttons = document.querySelectorAll("[data-present-part]");
  for (const button of buttons) {
    button.setAttribute("aria-pressed", String(partShown(button.dataset.presentPart ?? "") === button.value));
  }
  const toggle = document.querySelector("[data-present-toggle]");
  toggle?.setAttribute("aria-pressed", String(presenter.isOpen));
  for (const view of views) {
    view.size = ""; // drawn anew, also where the window stays as it was
    fit(view);
  }
}

/**
 * Open or close the presenter's view.
 * @type {(isOpen: boolean) => void}
 */
export function present(isOpen) {
  if (isOpen === presenter.isOpen || (isOpen && !hasPicture())) return;
  const main = document.querySelector(".stMain");
  if (isOpen) presenter.back = { focused: document.activeElement, top: main?.scrollTop ?? 0 };
  presenter.isOpen = isOpen;
  document.documentElement.toggleAttribute("data-present", isOpen);
  writePresenter();
  showPresenter();
  if (isOpen) {
    if (!document.activeElement?.checkVisibility({ visibilityProperty: true })) focusPlane();
    return;
  }
  if (document.fullscreenElement) document.exitFullscreen();
  const { focused, top } = presenter.back ?? {};
  presenter.back = null;
  const canReturn = focused instanceof HTMLElement && focused !== document.body && focused.isConnected;
  if (canReturn) focused.focus({ preventScroll: true });
  else if (!seen([":focus"])) focusPlane();
  if (main && top !== undefined) main.scrollTop = top;
}

/** @type {(part: string, value: string) => void} */
function showPart(part, value) {
  document.documentElement.dataset[part] = value;
  writePresenter();
  showPresenter();
}

/** A key has changed the second plane, so it must be in sight. */
export function showSecond() {
  if (isPresented() && partShown("planes") === "data") showPart("planes", "both");
}

/** To the picture of data space, or what is in sight in its place; false where there is no picture. */
export function focusPlane() {
  const plane = seen(["[data-pane=data] .live-plot", "[data-pane=latent] .live-plot"]);
  plane?.focus({ preventScroll: true });
  return Boolean(plane);
}

function toggleFullscreen() {
  const turned = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
  turned.catch(() => {}); // the view does without it
}

/**
 * What the buttons of the presenter's view do; they are drawn again with the numbers beside the title.
 * @type {(event: MouseEvent) => void}
 */
function pressTool(event) {
  const button = event.target instanceof Element && event.target.closest(".live-tools button");
  if (!(button instanceof HTMLButtonElement)) return;
  const { presentPart: part } = button.dataset;
  if (part) showPart(part, button.value);
  else if ("presentToggle" in button.dataset) present(!presenter.isOpen);
  else if ("presentFull" in button.dataset) toggleFullscreen();
  else showKeys();
}

export function listenToPresenter() {
  readPresenter();
  document.documentElement.toggleAttribute("data-no-fullscreen", !document.fullscreenEnabled);
  once("presenter", (signal) => {
    document.addEventListener("click", pressTool, { signal });
    addEventListener("popstate", () => {
      readPresenter();
      showPresenter();
    }, { signal });
  });
}
