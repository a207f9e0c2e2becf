// The shapes of the live picture: for the type checker alone.

/** @import { Estimator } from "../flow/belief.js" */
/** @import { Packed, Picture as Drawing, Range, Surface, Theme, Window } from "../canvas/types.js" */
/** @import { Evaluation } from "./evaluation.js" */
/** @import { Film, Moment } from "./film.js" */
/** @import { Frame, Picture } from "./picture.js" */
/** @import { Known, Measured, Sum } from "./point.js" */
/** @import { Pulse } from "./pulse.js" */

/** @typedef {"data" | "latent" | "loss"} PaneName */

/**
 * With the colour of the grid.
 * @typedef {Theme & { grid: string }} LiveTheme
 */

/**
 * What the second pane shows.
 * @typedef {"latent" | "truth" | "difference" | "believed"} Shows
 */

/**
 * A coordinate in its own unit: centre + scale * (the flow's value).
 * @typedef {{ name: string, unit: string, centre: number, scale: number }} Axis
 */

/**
 * Curves of the loss, null where a number is not finite. `held_believed` is what training believes in, where that is
 * biased.
 * @typedef {{ step: number[], batch_nll: (number | null)[], held_step: number[], held_nll: (number | null)[],
 *   held_se: (number | null)[], held_believed: (number | null)[] | null }} Curves
 */

/**
 * A large number in words (`app.metrics.Readout`).
 * @typedef {{ name: string, label: string, help: string, value: string, error?: string, unit?: string, note?: string,
 *   word?: string, step?: number | null }} Readout
 */

/**
 * A step in its parts (`encode_step`): a text for each part, and the numbers that are drawn of its points.
 * @typedef {{ step: number, exact: boolean, parts: { title: string, text: string, numbers: [string, string][],
 *   planes: [string, string], alts: [string, string] }[],
 *   layers: { name: string, raw_before: number, raw: number, weight: number, cap: number }[] } &
 *   Record<"points" | "stages" | "log_det" | "true_log_det" | "loss" | "gain" | "pull" | "true_pull" | "density"
 *   | "change", Packed>} StepRecord
 */

/**
 * What Python says of a run (`app.ui.scene.scene_of`). `truth` names the true density, if that is known; `belief` is
 * the estimator of training, if what it believes in is a density of its own.
 * @typedef {{ run: string, playing: boolean, window: Window, frame_window: Range, axes: [Axis, Axis],
 *   blocks: number, truth: string | null, channel: string | null, weights: string | null, frame: Frame | null,
 *   at: Measured | null, belief: Estimator | null, loss: Curves | null, loss_unit: string, floor: number | null,
 *   readouts: Readout[], parts: StepRecord | null, alt: Record<Shows | "data" | "stage" | "loss", string>,
 *   points: Packed, labels: { names: string[], index: Packed } | null, curves?: boolean, hints?: boolean,
 *   checks?: boolean, time?: { moment?: number | null, checkpoints?: number[],
 *   continues?: { run: string, step: number } | null } | null }} Scene
 */

/**
 * A true density: shares of its `largest` value. Colours end at `shown`.
 * @typedef {{ largest: number, shown: number, density: Packed }} Truth
 */

/**
 * The same as it is heard of; without numbers nobody knows it.
 * @typedef {Omit<Truth, "density"> & { id: string, density: Packed | null }} HeardTruth
 */

/** @typedef {{ section: HTMLElement, box: HTMLElement, caption: HTMLElement | null, surface: Surface }} Pane */

/** @typedef {(view: View, theme: LiveTheme) => Drawing} Painter */

/**
 * The line over the loss, and what stands beside it. `shown` is an earlier moment, null for the newest; meanwhile `now`
 * has the newest one that there is a picture of. `told` is what the server knows.
 * @typedef {{ shown: Moment | null,
 *   now: { picture: Picture | null, moment: Moment | null, depth: number | null } | null,
 *   film: Film, replay: Replay | null, told: { run: string, step: number } | null,
 *   timer: ReturnType<typeof setTimeout> | undefined, line: HTMLElement, future: HTMLElement, bar: TimeBar }} Time
 */

/**
 * @typedef {Record<"first" | "more", HTMLElement> & Record<"now" | "on" | "replay" | "whole", HTMLButtonElement>
 *   & { speed: HTMLSelectElement }} TimeBar
 */

/**
 * `at` is a step between moments; `begins` the step of the first, until that is drawn.
 * @typedef {{ at: number, begins: number | null, time: number, shownAt: number, request: number }} Replay
 */

/**
 * A step in its parts while it is shown: at part `at`, whose points have gone `share` of their way.
 * @typedef {{ id: string, record: StepRecord, at: number, plays: boolean, moves?: boolean, back: HTMLElement | null,
 *   elapsed: number, share: number, request: number, time: number, rest: number }} Slow
 */

/**
 * @typedef {Record<"panel" | "place" | "title" | "text" | "list" | "marks", HTMLElement> &
 *   { button: Record<"back" | "hold" | "next" | "close", HTMLButtonElement> }} PartsPanel
 */

/**
 * `cameAt` is when the newest frame came, in milliseconds.
 * @typedef {{ run: string, socket: WebSocket | null, tries: number, timer: ReturnType<typeof setTimeout> | undefined,
 *   cameAt: number }} Channel
 */

/**
 * How the component speaks to Python: a state stays, a trigger is for one run of the script.
 * @typedef {{ setState: (name: string, value: unknown) => void, setTrigger: (name: string, value: unknown) => void
 *   }} Hands
 */

/** @typedef {Partial<Record<PaneName, Window | null>>} Zoom */

/**
 * The live picture on the page. It is mounted for its first scene. `picture` is what is drawn of the `newest` moment or
 * another one, `share` of the way from what was drawn `before`; `early` are weights of a run that is yet to begin, and
 * `refused` says why this browser does not evaluate.
 * @typedef {Hands & { root: HTMLElement, scene: Scene, rest: number, spacing: number,
 *   last: number, ticking: boolean, shows: Shows, zoom: Zoom, recalled: Zoom, toggled: Set<string>,
 *   newest: Moment | null, picture: Picture | null, before: Picture | null, began: number, share: number,
 *   colourTop: number, isCut: boolean, frames: number, writing: ReturnType<typeof setTimeout> | undefined,
 *   pulse: Pulse, evaluation: Evaluation, early: ArrayBuffer | null, refused: string, channel: Channel | null,
 *   drawing: number, probe: { x: Range | null, at: Measured | null, drawn: unknown[], known?: { sum: Sum, server:
 *   Measured | null, all: Known } }, slow: Slow | null, parts?: PartsPanel, again?: HTMLElement, theme: LiveTheme |
 *   undefined, gridColour?: string, size: string, gone: AbortController, time: Time, panes: Record<PaneName, Pane>,
 *   layers: Record<PaneName, Record<string, boolean>>, depth: { at: number, wanted: number | null, asked: number |
 *   null, request: number, rest: number, rate: number, time: number }, slider: HTMLInputElement, observer:
 *   ResizeObserver }} View
 */

export {};
