// What somebody did in lessons, kept by the browser. Nothing is written before the server has heard what was kept, so
// that a page that knows nothing yet does not overwrite it.

import { ROOM, STORED } from "./names.js";

/** @import { Browser, Page } from "./types.js" */

const TELL_AGAIN_MS = 1500;
const MOST_TIMES = 20;
const JOINED_MS = 3000; // in which the server joins what was kept with what it knows, and has it kept

/** @type {() => string | null} */
function readStored() {
  try {
    return localStorage.getItem(STORED) ?? "";
  } catch {
    return null; // no storage here, as in some frames
  }
}

/**
 * The room that this browser has joined (`app/web/classroom`), as {code, token}, both "" where it is in none.
 * @type {() => { code: string, token: string }}
 */
function readRoom() {
  try {
    const kept = JSON.parse(localStorage.getItem(ROOM) || "{}");
    if (typeof kept.at === "string" && typeof kept.token === "string" && kept.at)
      return { code: kept.at, token: kept.token };
  } catch {
    // no storage here, or somebody else's
  }
  return { code: "", token: "" };
}

/**
 * Tell of another room than before.
 * @type {(browser: Browser) => void}
 */
export function tellRoom(browser) {
  const room = readRoom(), text = JSON.stringify(room);
  if (text === browser.room) return;
  browser.room = text;
  browser.tell("room", room);
}

/**
 * Tell what is kept; after the first time only what this page has neither written nor heard.
 * @type {(browser: Browser) => void}
 */
export function tellStored(browser) {
  const text = readStored();
  if (text === browser.known) return;
  browser.known = text;
  tellUntilHeard(browser, MOST_TIMES);
}

/**
 * A message may be lost while Streamlit draws the page.
 * @type {(browser: Browser, times: number) => void}
 */
function tellUntilHeard(browser, times) {
  clearTimeout(browser.tellingStored);
  browser.tell("arrived", { text: browser.known, again: browser.again });
  browser.tellingStored = setTimeout(
    () => browser.heard || !times || tellUntilHeard(browser, times - 1),
    TELL_AGAIN_MS,
  );
}

/**
 * The server says whether it has heard what is kept.
 * @type {(browser: Browser, heard: boolean) => void}
 */
export function hearHeard(browser, heard) {
  if (heard && !browser.heard) setTimeout(browser.keep, browser.known ? JOINED_MS : 0);
  browser.heard = heard;
}

/**
 * What is to be kept may have come before the page's script, or before the server has heard.
 * @type {(browser: Browser) => void}
 */
export function keepProgress(browser) {
  const text = /** @type {Page} */ (window).resflowToKeep;
  if (!text || !browser.heard || text === browser.known || browser.known === null) return;
  try {
    localStorage.setItem(STORED, text);
    browser.known = text;
  } catch {
    browser.known = null; // full, or forbidden meanwhile
    browser.tell("arrived", { text: null });
  }
}
