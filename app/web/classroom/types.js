// What the server tells the pages of a room (`app/classroom/state.py`): for the type checker alone.

/** @typedef {{ [key: string]: string, decimal: string }} Words */

/**
 * What is in a page from the start. `unreached` says why phones cannot come in, where they cannot.
 * @typedef {{ code: string, root: string, link: string, unreached: string, qr: string, words: Record<string, Words>
 *   }} PageData
 */

/**
 * What this browser keeps. `at` is the room that its lessons are in, `key` that of the server.
 * @typedef {{ token: string, secrets: Record<string, string>, key?: string, at?: string }} Kept
 */

/**
 * An answer: the key of an option, or a number.
 * @typedef {string | number} Answer
 */

/** @typedef {{ value: Answer, margin: number, why: string, right: boolean | null }} Truth */

/** @typedef {{ right: number, people: number }} Right */

/**
 * A question that is asked. `rounds` has the answers of each vote with their counts, as far as they are shown; `mine`
 * is what this phone has answered.
 * @typedef {{ id: string, step: string, text: string, options: [string, string][], unit: string, low: number | null,
 *   high: number | null, stage: "voting" | "shown" | "discussed" | "revealed", round: number,
 *   rounds: [Answer, number][][], told_later: boolean, mine: Answer | null, truth: Truth | null,
 *   before_and_after?: [Right, Right] | null }} Question
 */

/**
 * The mean of n draws with its standard error; null where there are too few.
 * @typedef {{ n: number, mean: number | null, deviation: number | null, error: number | null }} Summary
 */

/** @typedef {Summary & { mean: number, error: number }} Estimate */

/** @typedef {Summary & { hit: boolean | null }} Interval */

/**
 * All draws of a room beside the truth. `shared` are the same members if `batch` draws in a row share one N: of many
 * intervals the share `expected` contains the truth, null where that is not known.
 * @typedef {{ step: string, truth: number, all: Summary, closing: Summary[], each: Interval[],
 *   histogram: { edges: number[], counts: number[], expected: number[] | null },
 *   shared: { each: Interval[], batch: number, expected: number | null } | null }} Draws
 */

/** @typedef {{ id: string, title: string }} Step */

/**
 * What both pages are told.
 * @typedef {{ lesson: string, id: string, language: string, members: number, question: Question | null,
 *   released: string | null }} Common
 */

/**
 * What a phone is told. Each of its `coins` is the number of throws of one row.
 * @typedef {Common & { code: string, seat: number, called: string, calls: number, steps: Step[],
 *   draws: { mine: Summary | null } | null, coins: number[] }} PhoneState
 */

/**
 * What the wall is told. `drawing` names the steps whose draws can be gathered; `coins` are numbers of throws, and how
 * many rows have each.
 * @typedef {Common & { locked: boolean, seats: number, most_seats: number,
 *   addresses: { people: number, first: number, last: number }[], answered: number,
 *   questions: { id: string, step: string, text: string, again: boolean }[], steps: (Step & { here: number })[],
 *   draws: Draws | null, drawing: string[], coins: [number, number][] }} WallState
 */

/**
 * What an element is made with: an attribute, or a listener where the name begins with `on`.
 * @typedef {string | boolean | null | EventListener} Attribute
 */

/** @typedef {string | Node | null} Child */

/**
 * Pixels that a picture may take.
 * @typedef {{ wide: number, tall: number }} Size
 */

export {};
