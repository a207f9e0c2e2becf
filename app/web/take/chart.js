// A chart that Vega has drawn as SVG, as a figure of a sheet. On a dark page its greys are turned into those of paper;
// colours, which have a meaning, stay.

import { rgb } from "../canvas/colours.js";
import { pageTheme, paperTheme } from "../canvas/page.js";
import { EVERYWHERE } from "./sheet.js";
import { inked } from "./vector.js";

/** @import { Figure, Theme } from "../canvas/types.js" */

const GREY_OF = 24; // between the channels of a colour, at most, for it to be a grey
const PAINTED = ["fill", "stroke"];

/**
 * The chart within the element of this class, or null.
 * @type {(name: string) => SVGSVGElement | null}
 */
const chartIn = (name) => document.querySelector(`.${CSS.escape(name)} .stVegaLiteChart svg.marks`);

/** @type {(colour: string) => number[]} */
const channels = (colour) => rgb(inked(colour)[0]);

/** @type {(colour: string | null) => boolean} */
function isGrey(colour) {
  if (!colour || colour === "none" || colour === "transparent" || colour.startsWith("url")) return false;
  const parts = channels(colour);
  return Math.max(...parts) - Math.min(...parts) <= GREY_OF;
}

/**
 * A grey as it is on the other ground.
 * @type {(colour: string) => string}
 */
const turnedGrey = (colour) => (isGrey(colour) ? `rgb(${channels(colour).map((part) => 255 - part).join()})` : colour);

/**
 * A copy of the chart for white paper, and its size.
 * @type {(svg: SVGSVGElement, theme: Theme, isDark: boolean) => { text: string, width: number, height: number }}
 */
function onPaper(svg, theme, isDark) {
  const copy = /** @type {SVGSVGElement} */ (svg.cloneNode(true));
  const { width, height } = svg.viewBox.baseVal;
  copy.removeAttribute("style");
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  for (const one of copy.querySelectorAll("*")) {
    one.removeAttribute("style");
    for (const name of PAINTED) {
      const colour = isDark && one.getAttribute(name);
      if (colour) one.setAttribute(name, turnedGrey(colour));
    }
    if (one.tagName !== "text") continue;
    one.setAttribute("font-family", theme.font);
    if (isGrey(one.getAttribute("fill"))) one.setAttribute("fill", theme.ink(0.9));
  }
  copy.querySelector(".background")?.setAttribute("fill", "none");
  return { text: new XMLSerializer().serializeToString(copy), width, height };
}

/** @type {(host: Element, name: string, title: string) => Figure | null} */
export function figureOfChart(host, name, title) {
  const svg = chartIn(name);
  if (!svg) return null;
  const theme = { ...paperTheme(host), font: EVERYWHERE };
  const { text, width, height } = onPaper(svg, theme, pageTheme(host).dark);
  const image = new Image(width, height);
  const alt = svg.closest(".stVegaLiteChart")?.getAttribute("aria-label")?.replaceAll("**", "") ?? "";
  return {
    name: title, title, columns: 1, tables: [],
    panels: [{
      title, note: "", alt, width, height,
      draw: (pen) => (pen.embed ? pen.embed(text) : pen.drawImage(image, 0, 0, width, height)),
    }],
    async prepare() {
      image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
      await image.decode();
    },
  };
}
