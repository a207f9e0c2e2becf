// One line that says what can be tried next: the first of `HINTS` (hints.json) that nobody has done in this browser. A
// click dismisses them for good.

const HINTED = "resflow.hints"; // in localStorage: the names of what was done, or "off"

/** Whether what a hint speaks of is being done. */
const DONE = {
  play: ({ scene }) => scene.playing,
  probe: ({ probe }) => Boolean(probe.x),
  time: (view) => isPast(view),
  belief: ({ scene }) => scene.readouts.some(({ name, value }) => name === "believed" && value),
};

let hinted = readHinted();

function readHinted() {
  try {
    return new Set((localStorage.getItem(HINTED) ?? "").split(" ").filter((name) => name === "off" || name in HINTS));
  } catch {
    return new Set(); // a browser that keeps nothing: they begin anew with each page
  }
}

function noteHint(name) {
  hinted.add(name);
  try {
    localStorage.setItem(HINTED, [...hinted].join(" "));
  } catch { /* it holds until the page is left */ }
}

/** Show the next hint, or none. */
function showHint(view) {
  const line = view.root.querySelector(".live-hint");
  for (const [name, isDone] of Object.entries(DONE)) if (!hinted.has(name) && isDone(view)) noteHint(name);
  const next = view.scene.hints && !hinted.has("off") && Object.keys(HINTS).find((name) => !hinted.has(name));
  line.hidden = !next;
  if (next) line.querySelector("span").textContent = HINTS[next];
}

function dismissHints() {
  noteHint("off");
  for (const view of views) showHint(view);
}
