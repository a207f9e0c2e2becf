// The script may be read anew with each message: what it does to the window it does once.

function settle() {
  const browser = { tell: () => {}, token: "", entry: "", known: undefined, room: JSON.stringify({ code: "", token: "" }), returned: null, telling: null, arrived: -Infinity };
  tidyHistory(browser);
  hearReturns(browser);
  leaveWord(browser);
  addEventListener("visibilitychange", () => document.visibilityState === "visible" && (tellStored(browser), tellRoom(browser)));
  browser.keep = (text) => keepProgress(browser, text);
  return browser;
}

export default function ({ data, setTriggerValue }) {
  const browser = (window.resflowBrowser ??= settle());
  browser.tell = setTriggerValue;
  browser.token = data.token;
  hearEntry(browser, data.entry);
  tellStored(browser);
  tellRoom(browser);
}
