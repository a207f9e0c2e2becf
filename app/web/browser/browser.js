// The script may be read anew with each message: what it does to the window it does once.

import { hearEntry, hearReturns, tidyHistory } from "./history.js";
import { leaveWord } from "./leaving.js";
import { keepPopoversReachable } from "./popovers.js";
import { hearHeard, keepProgress, tellRoom, tellStored } from "./storage.js";

function settle() {
  const browser = {
    tell: () => {},
    token: "",
    entry: "",
    known: undefined,
    heard: false,
    tellingStored: null,
    room: JSON.stringify({ code: "", token: "" }),
    returned: null,
    telling: null,
    arrived: -Infinity,
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
  browser.keep = () => keepProgress(browser);
  return browser;
}

export default function ({ data, setTriggerValue }) {
  const browser = (window.resflowBrowser ??= settle());
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
