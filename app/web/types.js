// What Streamlit and the app's own modules hand each other: for the type checker alone.

/**
 * What Streamlit calls a component with. A state stays until another one is set; a trigger is for one run of the
 * script.
 * @template Data
 * @typedef {{ data: Data, parentElement: HTMLElement | ShadowRoot,
 *   setStateValue: (name: string, value: unknown) => void,
 *   setTriggerValue: (name: string, value: unknown) => void }} Call
 */

/**
 * What a menu *Take it with you* is told (`app.components.take.encode`). `of` is the name of a figure that was offered,
 * `chart` class and title of a chart of Vega or of rows of dots, `answer` that to the n-th request of the menu.
 * @typedef {{ files: { name: string, title: string, group: string }[], of?: string | null,
 *   chart?: [string, string] | null, answer: TakeAnswer | null }} Take
 */

/** @typedef {{ n: number, problem?: string, file?: string, mime?: string, base64?: string }} TakeAnswer */

export {};
