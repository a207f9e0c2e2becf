// How fast a page paints. Where it cannot paint both planes in each frame of the screen, they take turns, so that what
// moves goes on moving evenly.

/**
 * `at`: the last frame, `apart`: milliseconds between two of them lately, `easy`: frames in a row that came in time.
 * @typedef {{at: number, apart: number, easy: number, isTight: boolean, count: number}} Pulse
 */

const SHARE = 0.15; // of the newest frame in what is called lately
const LATE = 21; // milliseconds apart from which on a page is tight: a screen that shows 60 a second has 17
const IN_TIME = 18;
const LONG = 120; // frames in time after which both planes are tried again
const BREAK = 250; // milliseconds: more is no frame that was painted late, but a pause

/** @returns {Pulse} */
export const newPulse = () => ({ at: 0, apart: IN_TIME, easy: 0, isTight: false, count: 0 });

/**
 * After another frame.
 * @param {Pulse} pulse
 * @param {number} now
 * @returns {Pulse}
 */
export function pulseAt({ at, apart, easy, isTight, count }, now) {
  const last = now - at;
  if (last > BREAK) return { at: now, apart, easy: 0, isTight, count: count + 1 };
  const lately = apart + SHARE * (last - apart);
  const isEasy = lately <= IN_TIME ? easy + 1 : 0;
  const becomes = isTight ? isEasy < LONG : lately > LATE;
  return { at: now, apart: lately, easy: becomes === isTight ? isEasy : 0, isTight: becomes, count: count + 1 };
}
