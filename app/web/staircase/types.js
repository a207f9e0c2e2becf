// What Python says of a staircase (`app.features.estimator.staircase_view`): for the type checker alone.

/** @import { Range } from "../canvas/types.js" */

/**
 * A term of a draw as texts: aₖ vᵀAᵏv, the probability that it is reached, and the term with the weight and without.
 * @typedef {{ form: string, reached: string, shown: string, plain: string }} Cell
 */

/**
 * A draw. `n` is N, unless it `goesOn`; `plainSum` is its sum without the weights.
 * @typedef {{ id: string, label: string, title: string, n: number, goesOn: boolean, v: string,
 *   arrow: [number, number] | null, cells: Cell[], sum: number, plainSum: number, shown: string, said: string,
 *   plainSaid: string }} Row
 */

/**
 * What the terms of a column average to, with the weights and without, and whether that is the exact term.
 * @typedef {{ k: number, pays: string, term: string, average: string, plain: string, isSame: boolean,
 *   isSamePlain: boolean }} Column
 */

/**
 * Where tosses decide on N: how many terms are certain before them.
 * @typedef {{ certain: number }} Coin
 */

/**
 * `count` draws, of which the newest are the `rows`. `cut` is the cut series, `bars` how all sums spread.
 * @typedef {{ count: number, rows: Row[], columns: Column[], coin: Coin | null, weights: boolean, title: string,
 *   why: string, alt: string, truth: number, cut: { n: number, value: number }, mean: number | null, meanSaid: string,
 *   axis: Range, bars: { edges: number[], shares: number[] } | null, words: Words }} Data
 */

/**
 * @typedef {Record<"certain" | "rule" | "key" | "unknown" | "draw" | "off" | "average" | "term", string> &
 *   { heads: [string, string, string], sums: [string, string] }} Words
 */

/**
 * A piece of a draw, in the order in which they are seen: the k-th toss, v, the k-th term, or the sum.
 * @typedef {["toss" | "v" | "term" | "sum", number]} Piece
 */

export {};
