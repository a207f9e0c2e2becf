// What somebody did in lessons, kept by the browser. Nothing is written before what was kept has been told, so that a
// page that knows nothing yet does not overwrite it.

function readStored() {
  try {
    return localStorage.getItem(STORED) ?? "";
  } catch {
    return null; // no storage here, as in some frames
  }
}

/** The room that this browser has joined (`app/classroom/pages`), as {code, token}, both "" where it is in none. */
function readRoom() {
  try {
    const kept = JSON.parse(localStorage.getItem(ROOM) || "{}");
    if (typeof kept.at === "string" && typeof kept.token === "string" && kept.at) return { code: kept.at, token: kept.token };
  } catch {
    // no storage here, or somebody else's
  }
  return { code: "", token: "" };
}

/** Tell of another room than before. */
function tellRoom(browser) {
  const room = readRoom(), text = JSON.stringify(room);
  if (text === browser.room) return;
  browser.room = text;
  browser.tell("room", room);
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
