// What page, browser and server tell each other. What it does to the window it does once.

import { hearEntry, hearReturns, tidyHistory } from "./history.js";
import { leaveWord } from "./leaving.js";
import { keepPopoversReachable } from "./popovers.js";
import { hearHeard, keepProgress, tellRoom, tellStored } from "./storage.js";

/** @import { Call } from "../types.js" */
/** @import { Browser, Page } from "./types.js" */

const page = /** @type {Page} */ (window);

/** @type {() => Browser} */
function settle() {
  /** @type {Browser} */
  const browser = {
    tell: () => {},
    keep: () => keepProgress(browser),
    token: "",
    entry: "",
    screen: "",
    known: undefined,
    heard: false,
    again: false,
    tellingStored: undefined,
    room: JSON.stringify({ code: "", token: "" }),
    returned: null,
    telling: undefined,
    arrives: false,
  };
  tidyHistory(browser);
  hearReturns(browser);
  leaveWord(browser);
  keepPopoversReachable();
  addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible") return;
    tellStored(browser);
    tellRoom(browser);
  });
  return browser;
}

/** @type {(call: Call<{ token: string, entry: string, heard: boolean }>) => void} */
export default function ({ data, setTriggerValue }) {
  const browser = (page.resflowBrowser ??= settle());
  browser.tell = setTriggerValue;
  if (data.token !== browser.token) {
    browser.known = undefined; // another page of the server's, which knows nothing yet
    browser.again = browser.token !== "";
  }
  browser.token = data.token;
  hearHeard(browser, data.heard);
  hearEntry(browser, data.entry);
  tellStored(browser);
  tellRoom(browser);
}
