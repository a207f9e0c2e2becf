/**
 * What the modules of the panes hand to each other. Specs are the JSON of `app/components/planes/panes.py`.
 */

/** @import { Field, Layer, Packed, Place, Range, Surface, Theme, Window } from "../canvas/types.js" */

/** What has a name in the legend. @typedef {{label: string, layers: Layer[]}} Mark */

/**
 * @typedef {"solid" | "dash" | "dot" | "dashdot" | "long" | "sparse"} Dash
 * @typedef {{label: string, colour: string | null, dash: Dash, width: number}} Line
 * @typedef {Line & {points: Packed, markers: boolean}} PathSpec
 * @typedef {{low: Packed, high: Packed, label: string, colour: string, opacity: number}} AreaSpec
 * @typedef {Line & {values: Packed, at: number}} LevelSpec
 *
 * @typedef {{label: string, colour: string | null, symbol: string, size: number, opacity: number}} Dotted
 * @typedef {{flow: string, count: number}} OfFlow  so many samples of a flow, by the name of its weights
 * @typedef {Dotted & ({points: Packed} | OfFlow)} DotsSpec
 *
 * @typedef {object} Palette  how numbers become colours
 * @property {"viridis" | "signed"} palette
 * @property {boolean} bar
 * @property {boolean} smooth
 * @property {boolean} log
 * @property {string} name
 * @property {string} unit
 *
 * @typedef {object} Levels
 * @property {Packed} level  0 to 254, 255 where there is no number
 * @property {Range} range  of the values; of their logarithms to base 10 if `log`
 * @property {[boolean, boolean]} cut  whether there are values beyond the range
 *
 * @typedef {object} Values  whose colours end where those of all panes of the row do
 * @property {Packed} values
 * @property {number} low
 *
 * @typedef {object} Densities  of a flow
 * @property {string} flow  the name of its weights
 * @property {number} low
 * @property {number | null} high  null: where the colours of all panes of the row end
 *
 * @typedef {Palette & (Levels | Values | Densities)} HeatSpec
 */

/**
 * What panes and charts have in common.
 *
 * @typedef {{title: string, x: string, y: string, note: string, alt: string, legend: boolean}} Words
 * @typedef {Words & {paths: PathSpec[]}} Common
 *
 * @typedef {object} OfPane
 * @property {"pane"} kind
 * @property {Window} window
 * @property {HeatSpec | null} heat
 * @property {LevelSpec[]} levels
 * @property {DotsSpec[]} dots
 * @property {boolean} clickable
 * @property {Place | null} point
 * @property {boolean} square
 * @typedef {Common & OfPane} PaneSpec
 *
 * @typedef {object} OfChart
 * @property {"chart"} kind
 * @property {boolean} log_x
 * @property {boolean} log_y
 * @property {AreaSpec[]} areas
 * @property {number | null} height  of the plot in pixels
 * @typedef {Common & OfChart} ChartSpec
 *
 * @typedef {PaneSpec | ChartSpec} Spec
 */

/**
 * A spec with its arrays unpacked; a chart has what it has none of as empty lists.
 *
 * @typedef {{x: Float64Array, y: Float64Array}} Pairs
 * @typedef {Palette & (Levels & {field: Field} | Values & {field: Field, top: number} | Densities)} Heat
 * @typedef {Dotted & (Pairs | OfFlow)} Dots
 *
 * @typedef {object} Coloured  a field that is drawn as colours
 * @property {Field} field  as it is drawn
 * @property {Field} nodes  as it was found
 * @property {Window} window
 * @property {Range} range  the numbers of the field with the first colour and with the last
 * @property {Range} ends  the values of these; their logarithms to base 10 if `log`
 * @property {(number: number) => number} toValue
 * @property {string} told  what the values are, and how finely they are known
 * @property {[boolean, boolean]} cut  whether the colours at the ends stand for values beyond them
 *
 * @typedef {object} Read
 * @property {"pane" | "chart"} kind
 * @property {string} x
 * @property {string} y
 * @property {[boolean, boolean]} logs  whether each axis is one of logarithms
 * @property {Window} ranges
 * @property {Window} window
 * @property {Heat | null} heat
 * @property {(Omit<AreaSpec, "low" | "high"> & {low: Pairs, high: Pairs})[]} areas
 * @property {(PathSpec & Pairs)[]} paths
 * @property {(LevelSpec & {field: Field})[]} levels
 * @property {Dots[]} dots
 * @property {boolean} square
 */

/**
 * One pane on the page.
 *
 * @typedef {object} Pane
 * @property {HTMLElement} figure
 * @property {HTMLElement} title
 * @property {HTMLElement} note
 * @property {HTMLElement} box
 * @property {HTMLElement} legend
 * @property {Surface} surface
 * @property {Spec} spec
 * @property {string} text  the spec as JSON
 * @property {Read} read
 * @property {Theme} theme  in which it was drawn
 * @property {string} drawn  all that what is drawn depends on
 * @property {Place | null} chosen
 * @property {Place | null} before  chosen before the newest click
 * @property {Set<string>} hidden  labels that the legend has switched off
 * @property {boolean} isSeen  whether it is in the window of the browser
 * @property {import("./evaluated.js").Evaluated} evaluated  what was computed of its flow
 */

/**
 * The element.
 *
 * @typedef {object} View
 * @property {HTMLElement} root
 * @property {Pane[]} panes
 * @property {HTMLElement} told  what was chosen, for those who hear the page
 * @property {HTMLElement} menu
 * @property {number} columns  that are wanted
 * @property {ReturnType<typeof setTimeout> | undefined} timer  until the page is told what was chosen
 * @property {Map<string, Window | null>} zooms  by what is zoomed together; null: the whole
 * @property {ResizeObserver} observer
 * @property {IntersectionObserver} watcher  of what is seen
 * @property {() => void} woken  told when the page is seen again
 * @property {Record<string, string>} flows  the weights of flows in base64, by their names
 * @property {boolean} moving  whether the flows train
 * @property {boolean} isRefused  whether this browser has said that it cannot draw them
 * @property {number} zoomedAt  when a hand zoomed last, in milliseconds
 * @property {number} top  where the colours of those panes end that have no end of their own
 * @property {(name: string, value: unknown) => void} setState  tell the page
 * @property {(name: string, value: unknown) => void} trigger  tell the page once
 */

export {};
