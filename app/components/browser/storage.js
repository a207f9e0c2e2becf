// What somebody did in lessons, kept by the browser. Nothing is written before what was kept has been told, so that a
// page that knows nothing yet does not overwrite it.

function readStored() {
  try {
    return localStorage.getItem(STORED) ?? "";
  } catch {
    return null; // no storage here, as in some frames
  }
}

/** Tell what is kept; after the first time only what this page has neither written nor heard. */
function tellStored(browser) {
  const text = readStored();
  if (text === browser.known) return;
  browser.known = text;
  browser.tell("arrived", { text });
}

function keepProgress(browser, text) {
  if (!text || text === browser.known || browser.known === null || browser.known === undefined) return;
  try {
    localStorage.setItem(STORED, text);
    browser.known = text;
  } catch {
    browser.known = null; // full, or forbidden meanwhile
    browser.tell("arrived", { text: null });
  }
}
