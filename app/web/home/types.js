// The shapes of the replay: for the type checker alone.

/** @import { Packed, Surface, Window } from "../canvas/types.js" */

/**
 * What Python says (`app.features.home.replay.scene`): `cut` is the flow that was trained by `terms` terms of a series.
 * @typedef {{ steps: number[], window: Window, entropy: number, terms: number, exact: Stored, cut: Stored, alt: string,
 *   lossAlt: string }} Data
 */

/**
 * A stored flow after each of the steps: losses in nats, and the mass of its density, whose largest value is `top`.
 * @typedef {{ true: number[], reported: number[], mass: number[], density: { level: Packed, top: number }[] }} Stored
 */

/** @typedef {Stored & { pictures: { values: ArrayLike<number>, top: number }[] }} Kind */

/**
 * The data with its densities unpacked; `last` is the place of the last picture.
 * @typedef {Omit<Data, "exact" | "cut"> & { exact: Kind, cut: Kind, last: number }} Scene
 */

/**
 * The replay on the page: `at` is its place, `seen` and `rest` are times in milliseconds, and `values` the density that
 * is drawn.
 * @typedef {{ root: HTMLElement, scene: Scene, plane: Surface, loss: Surface, told: HTMLElement,
 *   slider: HTMLInputElement, button: HTMLElement, flip: HTMLInputElement, isCut: boolean, at: number,
 *   seen: number, rest: number, request: number, inSight: boolean, moving: boolean, values?: Float32Array }} Replay
 */

export {};
