// Colours that all pictures share: viridis for sizes, blue to orange for a sign, grey for what is no number.

export const VIRIDIS = [
  "#440154",
  "#482878",
  "#3e4989",
  "#31688e",
  "#26828e",
  "#1f9e89",
  "#35b779",
  "#6ece58",
  "#b5de2b",
  "#fde725",
];
export const SIGNED = ["#08478a", "#3f87c6", "#a9cfea", "#c9c9c9", "#fbc78d", "#e8811a", "#9c4400"];
export const GREY = [140, 140, 140];
/** @type {CanvasRenderingContext2D | null} */
let reader = null;

/**
 * [r, g, b] of any CSS colour without transparency.
 * @type {(colour: string) => number[]}
 */
export function rgb(colour) {
  reader ??= document.createElement("canvas").getContext("2d");
  if (!reader) return GREY;
  reader.fillStyle = colour;
  const read = String(reader.fillStyle);
  return [1, 3, 5].map((i) => parseInt(read.slice(i, i + 2), 16));
}
