// The shapes of a map beside the spectral disc: for the type checker alone.

/** @import { Box, Packed, Pen, Place, Range, Theme, Window } from "../canvas/types.js" */
/** @import { Take } from "../types.js" */

/**
 * What is drawn of n × n nodes, apart from their numbers. `limit` is the radius of the contour, and `circles` are names
 * and radii; `name` is said before a value.
 * @typedef {{ n: number, window: Window, range: Range, palette: "viridis" | "signed", error_range: Range,
 *   limit: number | null, circles: [string, number][], title: string, name: string, unit: string,
 *   axes: [string, string], alt: { map: string, disc: string }, take: Take }} Words
 */

/**
 * What Python says (`app.components.map_and_disc`).
 * @typedef {Words & Record<"level" | "radius" | "eigenvalues" | "error", Packed>} Data
 */

/**
 * The same with its numbers: of each node a level, a radius, and two eigenvalues, each with its error.
 * @typedef {Words & Record<"level" | "radius" | "eigenvalues" | "error", ArrayLike<number>> &
 *   { eigenvalues: Float32Array }} Scene
 */

/**
 * Where a canvas draws: the plot, and the data that it covers.
 * @typedef {Box & { x: Range, y: Range, toPixel: (a: number, b: number) => Place,
 *   toData: (p: number, q: number) => Place }} Frame
 */

/** @typedef {"map" | "disc"} Side */

/**
 * Both on the page. What is in the box of `brush` is lit, `picked` is a node, and `due` the frame that draws them.
 * @typedef {{ root: HTMLElement, canvases: HTMLCanvasElement[], scene: Scene,
 *   brush: { view: Side, box: Window } | null,
 *   picked: number | null, due: number | null, timer?: ReturnType<typeof setTimeout>,
 *   setState: (name: string, value: unknown) => void }} View
 */

/**
 * @typedef {(view: View, canvas: HTMLCanvasElement, lit: Uint8Array, theme: Theme, given?: Pen | null) => void} Draw
 */

export {};
