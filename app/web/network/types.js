// The shapes of a network: for the type checker alone.

/** @import { Placed } from "./places.js" */

/** @typedef {"weight" | "bias" | "row"} Kind */

/**
 * A parameter by its place, all counted from 0; a bias and a row have no column that means something.
 * @typedef {{ kind: Kind, layer: number, row: number, column: number }} Parameter
 */

/**
 * A layer, as Python sends it: of `total` lines those that are drawn, [row, column, trained, used], and the biases.
 * @typedef {{ columns: number, total: number, lines: [number, number, number | null, number | null][],
 *   bias: (number | null)[], factor: number | null }} Layer
 */

/**
 * What Python says: `changes` is the text of what is changed, `answered` that of the changes which `layers` are of, and
 * `heard` how many times something was changed when it was heard. At most `most` parameters are changed, within the
 * `limits` of their kind; none where it is `fixed`.
 * @typedef {{ block: number, sizes: number[], copies: number, layers: Layer[], heard: number, changes: string,
 *   answered: string, limits: Record<Kind, [number, number]>, most: number, fixed: boolean }} Scene
 */

/**
 * A weight that is drawn; `waits`: Python is yet to say what the layer uses. `wide` and `ghost` are widths in pixels.
 * @typedef {{ layer: number, row: number, column: number, trained: number | null, used: number | null,
 *   factor: number | null, waits: boolean, wide: number, ghost: number }} Line
 */

/**
 * A network on the page. `chosen` and `near` are names of parameters; `held` is the field that a hand has; `pulled`
 * and `sent` count changes, as `heard` does.
 * @typedef {{ root: HTMLElement, scene: Scene, at: Placed | null, changes: Map<string, number>,
 *   lines: Map<string, Line>, chosen: string, near: string | null, held: HTMLElement | null, due: number | null,
 *   timer: ReturnType<typeof setTimeout> | undefined, sent: number, sentAt: number, pulled: number,
 *   setState: (name: string, value: unknown) => void }} View
 */

export {};
