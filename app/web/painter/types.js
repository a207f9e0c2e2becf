// The shapes of the painter: for the type checker alone.

/** @import { FieldLayer, Place, Surface, Theme } from "../canvas/types.js" */
/** @import { Points, Rules, Stroke } from "./spray.js" */

/**
 * What Python says: the name of the plane, its strokes as rows, and what is wrong with what was sent.
 * @typedef {{ canvas: string, strokes: number[][], problem: string, rules: Rules }} Data
 */

/**
 * A lowered brush: its stroke, null beyond the plane, the strokes before it, and when it made its newest dot.
 * @typedef {{ stroke: Stroke | null, before: Stroke[], changed: boolean, movedAt: number }} Brush
 */

/**
 * A plane on the page. `cursor` is where the brush is seen, in places; `full` what limit is reached, and `has` the
 * strokes that the server has, as text.
 * @typedef {{ root: HTMLElement, box: HTMLElement, rules: Rules, canvas: string, kind: number, brush: number,
 *   canvases: Record<"ground" | "axes" | "points" | "brush", HTMLCanvasElement>, cursor: Place | null,
 *   pen: Brush | null, strokes: Stroke[], history: Stroke[][], picture: Points, sprayed: number, dots: number,
 *   density: FieldLayer | null, full: string, problem: string, has: string, size: string, theme: Theme | null,
 *   gone: AbortController, tries: number, surface: Surface, observer: ResizeObserver | null,
 *   holding: ReturnType<typeof setInterval> | undefined, again: ReturnType<typeof setTimeout> | undefined,
 *   tell: (name: string, value: unknown) => void }} View
 */

export {};
