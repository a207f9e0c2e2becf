// Replay: from the moment that is shown, or from the first, to the newest picture, in the browser alone. Its steps pass
// evenly in time, and one picture turns into the next as while training; for who wants no motion they change once a
// second.

import { isCalm } from "../canvas/page.js";
import { decode, fieldOf } from "./decode.js";
import { isPast, leavePast, momentShown, momentsOf, showMoment, showTime, tellNow } from "./time.js";

const PER_SECOND = 10; // kept pictures, at speed 1

export function replay(view) {
  const moments = momentsOf(view);
  if (moments.length < 2) return;
  const begins = isPast(view) ? momentShown(view, moments) : 0;
  showMoment(view, moments[begins]);
  clearTimeout(view.time.timer);
  view.time.replay = { at: moments[begins].step, time: performance.now(), shownAt: -Infinity, rest: 0, request: 0 };
  showTime(view);
  advanceReplay(view);
}

function advanceReplay(view) {
  const { time } = view;
  const { replay } = time;
  if (!replay || !view.root.isConnected) return;
  replay.request = requestAnimationFrame(() => advanceReplay(view));
  const now = performance.now();
  if (now < replay.rest) return;
  const moments = momentsOf(view);
  const [first, last] = [moments[0].step, moments.at(-1).step];
  const speed = Number(time.bar.speed.value);
  const passed = Math.min(now - replay.time, 200); // a page in the background stands still
  replay.at += (passed / 1000) * speed * PER_SECOND * ((last - first) / (moments.length - 1));
  replay.time = now;
  if (replay.at >= last) {
    leavePast(view);
    return;
  }
  const next = moments.findIndex(({ step }) => step > replay.at);
  const [from, to] = [moments[next - 1], moments[next]];
  if (isCalm()) {
    if (now < replay.shownAt + 1000 || from === time.shown) return;
    replay.shownAt = now;
    showMoment(view, from);
  } else if (next === moments.length - 1) {
    showMoment(view, from); // the newest may be sharp: nothing turns into it
  } else {
    showMoment(view, to, beginning(view, from, to), (replay.at - from.step) / (to.step - from.step));
  }
  replay.rest = 2 * performance.now() - now; // drawing gets at most half of the time
}

/** A kept picture as what another one begins from. */
function beginning(view, from, to) {
  const { replay } = view.time;
  if (replay.from !== from) {
    const isSame = from.depth === to.depth;
    replay.from = from;
    replay.before = {
      density: fieldOf(from.density, from.density_largest).values, top: Math.max(from.density_top, Number.MIN_VALUE),
      samples: from.samples && decode(from.samples), latent: isSame ? decode(from.latent) : null,
      grid: isSame ? decode(from.grid) : null,
    };
  }
  return replay.before;
}

export function stopReplay(view) {
  if (!view.time.replay) return;
  cancelAnimationFrame(view.time.replay.request);
  view.time.replay = null;
}

/** It stands at the picture that it has come to. */
export function pauseReplay(view) {
  stopReplay(view);
  showMoment(view, view.time.shown);
  showTime(view);
  tellNow(view);
}
