// The film of a run: its moments, and its large numbers as they were measured, evenly over the steps. A moment is the
// flow itself, by its weights, or a frame where the server draws. A run that goes back (`rewinds`) begins another film;
// one that goes on from a moment of another run begins with the film up to there.

import { decode } from "./decode.js";

/** @import { Packed } from "../canvas/types.js" */
/** @import { Frame } from "./picture.js" */

/**
 * A flow at a step of a run: its weights as they came, or a frame.
 * @typedef {{run: string, step: number, weights?: ArrayBuffer, frame?: Frame}} Moment
 */

/** @typedef {{step: number, [part: string]: unknown}} Texts of one large number at a step */

/** @typedef {{moments: Moment[], numbers: Record<string, Texts[]>}} Film */

const MOST_MOMENTS = 200;
const MOST_BYTES = 3.5e6;
const MOMENT_BYTES = 100; // of its small numbers
const MOST_FILMS = 3; // those that were shown last: undo goes back to them
/** @type {Map<string, Film>} */
const films = new Map(); // by the names of timelines; another screen does not lose them

/** @returns {Film} */
export const newFilm = () => ({ moments: [], numbers: {} });

/**
 * The film of a timeline, which may be the continuation of another one.
 * @param {string} run
 * @param {{run: string, step: number} | null} [continues]
 */
export function filmOf(run, continues) {
  const film = films.get(run) ?? (continues ? continued(films.get(continues.run), continues.step) : newFilm());
  films.delete(run);
  films.set(run, film); // at the end: the first was not shown for longest
  for (const name of films.keys()) if (films.size > MOST_FILMS) films.delete(name);
  return film;
}

/**
 * A film up to a step. Moments are never changed, so both share them.
 * @param {Film | undefined} film
 * @param {number} step
 * @returns {Film}
 */
function continued(film, step) {
  if (!film) return newFilm();
  /** @type {<T extends {step: number}>(list: T[]) => T[]} */
  const upTo = (list) => list.filter((one) => one.step <= step);
  const numbers = Object.fromEntries(Object.entries(film.numbers).map(([name, list]) => [name, upTo(list)]));
  return { moments: upTo(film.moments), numbers };
}

/**
 * Keep a moment, if it is not of an earlier step than another. Where one of the same step is kept, it takes its place:
 * somebody has changed the flow by hand.
 * @param {Film} film
 * @param {Moment} moment
 */
export function keepMoment(film, moment) {
  const last = film.moments.at(-1)?.step ?? -1;
  if (moment.step < last) return;
  if (moment.step === last) film.moments.pop();
  film.moments.push(moment.frame ? { ...moment, frame: keptFrame(moment.frame) } : moment);
  thin(film.moments, MOST_MOMENTS);
  while (film.moments.length > 2 && bytesOf(film) > MOST_BYTES) film.moments.splice(leastMissed(film.moments), 1);
}

/**
 * A frame without the texts that it came as.
 * @param {Frame} frame
 * @returns {Frame}
 */
function keptFrame(frame) {
  const kept = (/** @type {Packed} */ packed) =>
    ({ array: decode(packed), shape: packed.shape, dtype: packed.dtype, base64: "" });
  const [density, latent, grid] = [frame.density, frame.latent, frame.grid].map(kept);
  return { ...frame, density, latent, grid, samples: frame.samples && kept(frame.samples) };
}

/**
 * Keep what was measured, each with its step; the words of their help are those of now.
 * @param {Film} film
 * @param {{name: string, step?: number | null, help: string, value: string, [part: string]: unknown}[]} readouts
 */
export function keepNumbers(film, readouts) {
  for (const { name, step, help: _, ...texts } of readouts) {
    if (!texts.value || typeof step !== "number") continue;
    const list = (film.numbers[name] ??= []);
    const last = list.at(-1)?.step ?? -1;
    if (step < last) continue;
    if (step === last) list.pop();
    list.push({ step, ...texts });
    thin(list, MOST_MOMENTS);
  }
}

/** @param {{step: number}[]} list @param {number} most */
function thin(list, most) {
  while (list.length > most) list.splice(leastMissed(list), 1);
}

/**
 * Neither the first nor the last, but the one that leaves the smallest gap.
 * @param {{step: number}[]} list
 */
function leastMissed(list) {
  let [best, least] = [1, Infinity];
  for (let i = 1; i < list.length - 1; i++) {
    const gap = list[i + 1].step - list[i - 1].step;
    if (gap < least) [best, least] = [i, gap];
  }
  return best;
}

/** @param {Frame} [frame] */
function bytesOfFrame(frame) {
  const packed = frame ? [frame.density, frame.latent, frame.grid, frame.samples] : [];
  return packed.reduce((sum, one) => sum + (one ? decode(one).byteLength : 0), 0);
}

/** All that a film keeps: frames, weights, and two bytes for each character of texts. @param {Film} film */
export function bytesOf({ moments, numbers }) {
  let bytes = 0;
  for (const { weights, frame } of moments) bytes += MOMENT_BYTES + (weights?.byteLength ?? 0) + bytesOfFrame(frame);
  for (const texts of Object.values(numbers).flat()) {
    for (const text of Object.values(texts)) bytes += 2 * String(text ?? "").length;
  }
  return bytes;
}

/**
 * Of a list in ascending step the place of the one nearest to a step; -1 where it is empty.
 * @param {{step: number}[]} list
 * @param {number} step
 */
export function nearest(list, step) {
  let best = -1;
  list.forEach((one, i) => {
    if (best < 0 || Math.abs(one.step - step) < Math.abs(list[best].step - step)) best = i;
  });
  return best;
}
