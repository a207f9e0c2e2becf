// Replay: from the moment that is shown, or from the first, to the newest, in the browser alone. Its steps pass evenly
// in time, and one picture turns into the next as while training; for who wants no motion they change once a second.

import { isCalm } from "../canvas/page.js";
import { isPast, leavePast, momentShown, momentsOf, showMoment, showTime, tellNow } from "./time.js";

/** @import { View } from "./types.js" */

const PER_SECOND = 10; // kept moments, at speed 1

/** @type {(view: View) => void} */
export function replay(view) {
  const moments = momentsOf(view);
  if (moments.length < 2) return;
  const begins = isPast(view) ? momentShown(view, moments) : 0;
  showMoment(view, moments[begins]);
  clearTimeout(view.time.timer);
  const at = moments[begins].step;
  view.time.replay = { at, begins: at, time: performance.now(), shownAt: -Infinity, request: 0 };
  showTime(view);
  advanceReplay(view);
}

/** @type {(view: View) => void} */
function advanceReplay(view) {
  const { time } = view;
  const { replay } = time;
  if (!replay || !view.root.isConnected) return;
  replay.request = requestAnimationFrame(() => advanceReplay(view));
  const now = performance.now();
  const moments = momentsOf(view);
  const [first, last] = [moments[0].step, moments[moments.length - 1].step];
  const perSecond = PER_SECOND * Number(time.bar.speed.value);
  const passed = Math.min(now - replay.time, 200); // a page in the background stands still
  replay.time = now;
  if (replay.begins !== null && view.picture?.step !== replay.begins) return; // its picture is still on its way
  replay.begins = null;
  replay.at += (passed / 1000) * perSecond * ((last - first) / (moments.length - 1));
  if (replay.at >= last) {
    leavePast(view);
    return;
  }
  const next = moments.findIndex(({ step }) => step > replay.at);
  if (isCalm()) {
    if (now < replay.shownAt + 1000) return;
    replay.shownAt = now;
    showMoment(view, moments[next - 1]);
  } else if (next < moments.length - 1) { // nothing turns into the newest, which may be sharp
    view.spacing = 1000 / perSecond;
    showMoment(view, moments[next]);
  }
}

/** @type {(view: View) => void} */
export function stopReplay(view) {
  if (!view.time.replay) return;
  cancelAnimationFrame(view.time.replay.request);
  view.time.replay = null;
}

/**
 * It stands at the moment that it has come to.
 * @type {(view: View) => void}
 */
export function pauseReplay(view) {
  stopReplay(view);
  showTime(view);
  tellNow(view);
}
