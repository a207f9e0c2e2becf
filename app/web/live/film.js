// The film of a run: what is kept of its pictures and of its large numbers, evenly over the steps. A run that goes back
// (`rewinds`) begins another film; one that goes on from a moment of another run begins with the film up to there.

import { decode } from "./decode.js";

const MOST_PICTURES = 200;
const MOST_FILM_BYTES = 1.9e6; // what is not counted has room below 2 MB
const PICTURE_BYTES = 100; // of its small numbers
const MOST_FILMS = 3; // those that were shown last: undo goes back to them
const KEPT_EVERY = 2; // of the points of a grid line
const films = new Map(); // by the names of timelines; another screen does not lose them

export const newFilm = () => ({ pictures: [], numbers: {}, samples: null });

/** The film of a timeline, which may be the continuation of another one: {run, step}. */
export function filmOf(run, continues) {
  const film = films.get(run) ?? continued(films.get(continues?.run), continues?.step);
  films.delete(run);
  films.set(run, film); // at the end: the first was not shown for longest
  while (films.size > MOST_FILMS) films.delete(films.keys().next().value);
  return film;
}

/** A film up to a step. Pictures are never changed, so both share them. */
function continued(film, step) {
  if (!film) return newFilm();
  const upTo = (list) => list.filter((one) => one.step <= step);
  const numbers = Object.fromEntries(Object.entries(film.numbers).map(([name, list]) => [name, upTo(list)]));
  return { pictures: upTo(film.pictures), numbers, samples: null };
}

/** Keep a moving picture, if it is of a later step than all others. Sharp ones are too large; one that moves comes
 * with each of them. */
export function keepPicture(film, frame) {
  const { samples } = frame;
  film.samples = samples ? packedOf(decode(samples), samples.shape) : film.samples; // they stay for some pictures
  if ((film.pictures.at(-1)?.step ?? -1) >= frame.step) return;
  film.pictures.push({
    step: frame.step, depth: frame.depth, density_largest: frame.density_largest, density_top: frame.density_top,
    density: packedOf(decode(frame.density), frame.density.shape),
    latent: packedOf(decode(frame.latent), frame.latent.shape), grid: thinnedGrid(frame.grid), samples: film.samples,
    stages: null, isThin: true,
  });
  thin(film.pictures, MOST_PICTURES);
  while (bytesOf(film) > MOST_FILM_BYTES && film.pictures.length > 2) {
    film.pictures.splice(leastMissed(film.pictures), 1);
  }
}

/** Numbers as what `decode` reads, without the text that they came as. */
const packedOf = (array, shape) => ({ array, shape });

function thinnedGrid(packed) {
  const [lines, points] = packed.shape;
  const from = decode(packed);
  const kept = Math.ceil(points / KEPT_EVERY);
  const to = new from.constructor(2 * lines * kept);
  for (let line = 0; line < lines; line++) {
    for (let k = 0; k < kept; k++) {
      const at = 2 * (line * points + k * KEPT_EVERY);
      to[2 * (line * kept + k)] = from[at];
      to[2 * (line * kept + k) + 1] = from[at + 1];
    }
  }
  return packedOf(to, [lines, kept, 2]);
}

/** Lines with the points between those that are kept: cubic, and straight beside an end or a gap. */
export function refinedGrid(raw, points) {
  const lines = raw.length / (2 * points);
  const all = 2 * points - 1;
  const to = new Float32Array(2 * lines * all);
  const isGap = (value) => value === 0 || value === 65535;
  for (let line = 0; line < lines; line++) {
    for (let axis = 0; axis < 2; axis++) {
      const at = (k) => raw[2 * (line * points + k) + axis];
      for (let k = 0; k < points; k++) {
        to[2 * (line * all + 2 * k) + axis] = at(k);
        if (k === points - 1) continue;
        const [before, from, next, after] = [at(k - (k > 0)), at(k), at(k + 1), at(k + 1 + (k < points - 2))];
        const isEnd = k === 0 || k === points - 2;
        const between = isEnd || [before, from, next, after].some(isGap)
          ? (isGap(from) || isGap(next) ? 0 : (from + next) / 2)
          : (9 * (from + next) - before - after) / 16;
        to[2 * (line * all + 2 * k + 1) + axis] = between;
      }
    }
  }
  return to;
}

/** Keep what was measured, each with its step; the words of their help are those of now. */
export function keepNumbers(film, readouts) {
  for (const { name, step, help, ...texts } of readouts) {
    if (!texts.value || typeof step !== "number") continue;
    const list = (film.numbers[name] ??= []);
    const last = list.at(-1)?.step ?? -1;
    if (step < last) continue;
    if (step === last) list.pop();
    list.push({ step, ...texts });
    thin(list, MOST_PICTURES);
  }
}

function thin(list, most) {
  while (list.length > most) list.splice(leastMissed(list), 1);
}

/** Neither the first nor the last, but the one that leaves the smallest gap. */
function leastMissed(list) {
  let [best, least] = [1, Infinity];
  for (let i = 1; i < list.length - 1; i++) {
    const gap = list[i + 1].step - list[i - 1].step;
    if (gap < least) [best, least] = [i, gap];
  }
  return best;
}

/** All that a film keeps: numbers of pictures, each array once, and two bytes for each character of the rest. */
function bytesOf(film) {
  const arrays = new Set();
  for (const { density, latent, grid, samples } of film.pictures) {
    for (const packed of [density, latent, grid, samples]) if (packed) arrays.add(decode(packed));
  }
  let bytes = PICTURE_BYTES * film.pictures.length;
  for (const array of arrays) bytes += array.byteLength;
  for (const list of Object.values(film.numbers)) {
    for (const texts of list) for (const text of Object.values(texts)) bytes += 2 * String(text ?? "").length;
  }
  return bytes;
}

/** Of a list in ascending step the place of the one nearest to a step; -1 where it is empty. */
export function nearest(list, step) {
  let best = -1;
  list.forEach((one, i) => {
    if (best < 0 || Math.abs(one.step - step) < Math.abs(list[best].step - step)) best = i;
  });
  return best;
}
