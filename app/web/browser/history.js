// The history of the browser. Streamlit pushes an entry for each change of the query; here one is pushed where the
// server names another entry, and everything else replaces the address.

import { VIEW } from "../canvas/address.js";
import { ENTRY } from "./names.js";

/** @import { Browser } from "./types.js" */

/** @type {(url: URL) => boolean} */
const isOurs = (url) => url.pathname === location.pathname;
/** @type {(at: { pathname: string }) => string} */
const screenOf = ({ pathname }) => pathname.split("/").at(-1) ?? "";

/**
 * The address that is seen for one that the server wrote: with the view as it is, and without the name of the
 * entry.
 * @type {(url: URL, keepsView: boolean) => { entry?: string, screen?: string, address: string }}
 */
function seen(url, keepsView) {
  const [entry, screen] = url.searchParams.get(ENTRY)?.split("@") ?? [];
  const query = new URLSearchParams([...url.searchParams].filter(([name]) => !name.startsWith(VIEW)));
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (name === VIEW || (keepsView && name.startsWith(VIEW))) query.set(name, value);
  }
  return { entry, screen, address: `${url.pathname}${query.size ? `?${query}` : ""}${url.hash}` };
}

/**
 * Whether the server is at another entry of the history than the browser: one of the same page, for a page that was
 * loaded anew has other names. Where Streamlit has come to another screen, it has taken the old address there, which
 * the server then writes anew, however late.
 * @type {(browser: Browser, entry: string | undefined) => boolean}
 */
function isNewEntry(browser, entry) {
  const now = history.state?.entry;
  const isOther = entry && now && entry !== now && entry.split(".")[0] === now.split(".")[0];
  return Boolean(isOther) && !browser.arrives;
}

/** @type {(browser: Browser) => void} */
export function tidyHistory(browser) {
  const [push, replace] = [history.pushState.bind(history), history.replaceState.bind(history)];
  history.pushState = (state, title, target) => {
    const url = new URL(target ?? location.href, location.href);
    const { entry, screen, address } = seen(url, isOurs(url));
    if (isOurs(url) && entry) {
      if (screen !== screenOf(location)) return; // Streamlit comes to that screen in a moment
      hearEntry(browser, entry);
      if (browser.returned) return; // written before it heard that somebody went back
    }
    // Before another screen it would take away what Back needs.
    if (isOurs(url) && !url.search && history.state?.written) return;
    if (!isOurs(url) && entry === history.state?.entry) browser.arrives = true;
    if (!isOurs(url) || isNewEntry(browser, entry)) {
      push({ ...state, entry, written: Boolean(entry) }, title, address);
    } else {
      replace({ ...state, entry: entry ?? history.state?.entry, written: Boolean(entry) }, title, address);
      browser.arrives = false;
    }
  };
  history.replaceState = (state, title, target) => {
    const url = new URL(target ?? location.href, location.href);
    const { address } = url.searchParams.has(ENTRY) ? seen(url, true) : { address: target };
    replace({ ...state, entry: history.state?.entry, written: history.state?.written }, title, address);
  };
}

// A message may be lost while Streamlit draws another page, and a busy server draws late. After the last it is given
// up.
const AGAIN_MS = [50, 700, 1500, 3000, 6000, 12000, 24000, 24000];
const ANOTHER_SCREEN = 2; // the first of them that is used where Streamlit draws another screen

/**
 * Tell the server where Back or Forward has led, until it is there.
 * @type {(browser: Browser) => void}
 */
export function hearReturns(browser) {
  addEventListener("popstate", () => {
    clearTimeout(browser.telling);
    const entry = history.state?.entry;
    // Where the server is yet to say that it went somewhere, it may be there already, and not where it last said.
    browser.returned =
      entry && (browser.returned || entry !== browser.entry) ? { query: location.search, entry } : null;
    // Streamlit goes to another screen first: what is told before it has drawn that would be drawn where nothing is.
    if (browser.returned) tellReturn(browser, screenOf(location) === browser.screen ? 0 : ANOTHER_SCREEN);
  });
}

/** @type {(browser: Browser, tries: number) => void} */
function tellReturn(browser, tries) {
  browser.telling = setTimeout(() => {
    if (browser.returned && tries + 1 < AGAIN_MS.length) {
      browser.tell("returned", browser.returned);
      tellReturn(browser, tries + 1);
    } else browser.returned = null;
  }, AGAIN_MS[tries]);
}

/**
 * The server says at which entry it is. What a link has opened is the first one, before the server writes its address.
 * @type {(browser: Browser, entry: string) => void}
 */
export function hearEntry(browser, entry) {
  if (!browser.entry) History.prototype.replaceState.call(history, { ...history.state, entry, written: true }, "");
  browser.entry = entry;
  browser.screen = screenOf(location);
  if (browser.returned?.entry === entry) browser.returned = null;
}
