// The shapes that pictures are made of: for the type checker alone.

/**
 * Two ends, the lower first.
 * @typedef {[number, number]} Range
 */

/**
 * Ranges of x and of y.
 * @typedef {[Range, Range]} Window
 */

/**
 * A place, [x, y]: in the units of the axes, or in pixels.
 * @typedef {[number, number]} Place
 */

/** @typedef {number[] | Float32Array | Float64Array} Numbers */

/**
 * Colours as pixels of a canvas.
 * @typedef {Uint32Array<ArrayBuffer>} Palette
 */

/**
 * Numbers at the nodes of a grid, row = y ascending.
 * @typedef {{ values: Float32Array, rows: number, columns: number }} Field
 */

/**
 * A line through places that are counted in nodes.
 * @typedef {{ x: Float32Array, y: Float32Array }} Line
 */

/**
 * An array as `app.quantise.packed` packs it.
 * @typedef {{ dtype: "uint8" | "uint16" | "float32", shape: number[], base64: string }} Packed
 */

/**
 * What pictures ask of a canvas's 2-D context. `VectorPen` (`take/vector.js`) is another one, which writes SVG.
 * @typedef {Pick<CanvasRenderingContext2D, "save" | "restore" | "setLineDash" | "clearRect" | "translate" | "scale"
 *   | "rotate" | "beginPath" | "closePath" | "moveTo" | "lineTo" | "rect" | "arc" | "ellipse" | "clip" | "fill"
 *   | "stroke" | "fillRect" | "strokeRect" | "measureText" | "fillText" | "strokeText" | "drawImage" | "fillStyle"
 *   | "strokeStyle"
 *   | "lineWidth" | "font" | "textAlign" | "textBaseline" | "lineJoin" | "globalAlpha" | "imageSmoothingEnabled">
 *   & { isVector?: boolean, embed?: (svg: string) => void }} Pen
 */

/**
 * The colours and the font of what is drawn on: `ink` is the colour of text at an opacity, `scale` what all is drawn
 * larger by.
 * @typedef {{ ink: (alpha: number) => string, paper: string, halo: string, dark: boolean, font: string, scale: number
 *   }} Theme
 */

/** @typedef {{ value: number, text: string }} Tick */

/**
 * Where the numbers of an axis stand: at most about so many are wanted.
 * @typedef {(range: Range, wanted: number) => Tick[]} Ticks
 */

/** @typedef {{ title: string, range: Range, ticks?: Ticks }} Axis */

/** @typedef {{ left: number, top: number, width: number, height: number }} Box */

/**
 * A plot: its box in pixels, and how numbers become pixels and back. `bar` is what a colour bar takes of it.
 * @typedef {Box & { x: (value: number) => number, y: (value: number) => number,
 *   atPixel: (p: number, q: number) => Place, bar?: Box | null }} Plot
 */

/**
 * How a line looks: over a wider one of the colour `halo` where it must be seen on any ground.
 * @typedef {{ colour: string, width: number, dash?: number[], halo?: string | null, opacity?: number }} Look
 */

/**
 * `symbol` is one of `SYMBOLS` (`canvas/layers.js`), with `-open` for its outline.
 * @typedef {{ symbol: string, size: number, colour: string, edge?: { width: number, colour: string } }} Marker
 */

/**
 * What all layers have. `still`: it stands in front, and is drawn anew where one of these things is another. `series`
 * is what its numbers are called in a table, which has none of what is `untold`.
 * @typedef {{ name?: string, visible?: boolean, still?: unknown[], series?: string, untold?: boolean }} AnyLayer
 */

/**
 * Colours of a field. `nodes` are the numbers themselves where `field` is finer; `toValue` makes of a number what it
 * stands for, and `told` is what that is called. `crisp` shows the cells as they are.
 * @typedef {AnyLayer & { kind: "field", field: Field, nodes?: Field, window: Window, range: Range, palette: Palette,
 *   crisp?: boolean, toValue?: (value: number) => number, told?: string }} FieldLayer
 */

/**
 * Curves on which a field has these values. Their texts stand on them where they are `named`.
 * @typedef {AnyLayer & Look & { kind: "contours", field: Field, window: Window,
 *   levels: { value: number, text?: string }[], named?: boolean }} ContoursLayer
 */

/**
 * Points with one marker, or with the marker of the `index` of each.
 * @typedef {AnyLayer & { kind: "points", x: Numbers, y: Numbers, marker?: Marker, markers?: Marker[],
 *   index?: ArrayLike<number>, classes?: string[], opacity?: number }} PointsLayer
 */

/**
 * A line with a gap at each NaN.
 * @typedef {AnyLayer & Look & { kind: "line", x: Numbers, y: Numbers }} LineLayer
 */

/**
 * A name beside a place.
 * @typedef {AnyLayer & { kind: "name", x: number, y: number, text: string }} NameLayer
 */

/**
 * A ring around what is chosen.
 * @typedef {AnyLayer & { kind: "ring", x: number, y: number }} RingLayer
 */

/**
 * The area between two lines.
 * @typedef {AnyLayer & { kind: "band", x: Numbers, low: Numbers, high: Numbers, colour: string }} BandLayer
 */

/**
 * Circles around 0 of these radii, with their names.
 * @typedef {AnyLayer & { kind: "circles", radii: [number, string][], colour: string }} CirclesLayer
 */

/**
 * A dashed line across the plot. Its name stands at the right, or where it covers least of the lines that it `avoids`.
 * @typedef {AnyLayer & { kind: "level", y: number, text: string, colour: string, above?: boolean,
 *   avoids?: (Look & { x: Numbers, y: Numbers })[] }} LevelLayer
 */

/**
 * Texts above their places.
 * @typedef {AnyLayer & { kind: "values", of: { x: number, y: number, text: string }[] }} ValuesLayer
 */

/**
 * What colours mean, in a corner.
 * @typedef {AnyLayer & { kind: "key", rows: [string, string][] }} KeyLayer
 */

/**
 * @typedef {FieldLayer | ContoursLayer | PointsLayer | LineLayer | NameLayer | RingLayer | BandLayer | CirclesLayer
 *   | LevelLayer | ValuesLayer | KeyLayer} Layer
 */

/** @typedef {{ title: string, range: Range, palette: Palette, ticks?: Ticks }} Bar */

/** @typedef {{ left: number, right: number, top: number, bottom: number }} Margin */

/**
 * A picture: see `canvas/plane.js`.
 * @typedef {{ x: Axis, y: Axis, layers: Layer[], ratio?: number, bar?: Bar | null | false, margin?: Margin,
 *   grid?: boolean, over?: "dark" | "light" | "", says?: (place: Place) => string }} Picture
 */

/**
 * What of a surface a layer is drawn by: `bitmap` and `pixels` are kept from one drawing to the next.
 * @typedef {{ dense: number, bitmap?: HTMLCanvasElement, pixels?: ImageData }} Drawn
 */

/**
 * Canvases in their box, and what is drawn on them now.
 * @typedef {Drawn & { box: HTMLElement & { surface?: Surface }, canvas: HTMLCanvasElement, front: HTMLCanvasElement,
 *   corner: HTMLCanvasElement, tip: HTMLElement, size: number[], picture: Picture | null, at: Plot | null,
 *   scale: number, inFront: unknown[], bar?: { seen: unknown[], place: Box } | null, told: (place: Place) => string
 *   }} Surface
 */

/**
 * An entry of a legend, which draws its swatch at the pen's origin.
 * @typedef {{ label: string, draw: (pen: Pen, theme: Theme, dense: number) => void }} LegendEntry
 */

/**
 * A part of a figure. It draws in a box of its size at the pen's origin.
 * @typedef {{ title: string, note: string, alt: string, width: number, height: number, legend?: LegendEntry[],
 *   picture?: Picture, draw: (pen: Pen, theme: Theme, dense: number) => void }} Panel
 */

/** @typedef {{ title: string, text: () => string }} Table */

/**
 * Pictures one after the other. `figure(k)` shows the k-th on the page and returns it, null if that has gone.
 * @typedef {{ count: number, figure: (k: number) => Figure | null | Promise<Figure | null>, done: () => void }} Film
 */

/**
 * A figure for a sheet (`take/sheet.js`). `name` is that of its file.
 * @typedef {{ name: string, title: string, columns: number, panels: Panel[], tables: Table[], caption?: string[],
 *   film?: Film | null, prepare?: () => Promise<void> }} Figure
 */

export {};
