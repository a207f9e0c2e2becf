// Strokes to points, in the same whole numbers as `app/drawing/points.py`: parts of a place, 0 to `rules.parts`. A
// stroke is {kind, brush, dots: [x, y, x, y, ...]}, and a picture {x, y, kind}, a row each.

/**
 * What strokes become, and their limits (`RULES` of `app/components/painter`).
 * @typedef {{ side: number, shares: number, reach: number, brushes: [number, number][], eraser: number,
 *   classes: string[], parts: number, perUnit: number, cell: number, leastEraser: number, fewest: number, most: number,
 *   mostDots: number, mostSprayed: number, names: string[] }} Rules
 */

/** @typedef {{ kind: number, brush: number, dots: number[] }} Stroke */

/** @typedef {{ x: number[], y: number[], kind: number[] }} Points */

const SECOND = 0x27d4eb2f;

/**
 * The finaliser of MurmurHash3 (Appleby, public domain), of 32 bits.
 * @type {(bits: number) => number}
 */
function mixedBits(bits) {
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** @type {(bits: number) => number} */
const sumOfBytes = (bits) => (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24);

/** @type {(at: number, rules: Rules) => number} */
function mirrored(at, { parts }) {
  const inside = Math.abs(at);
  return inside > parts ? 2 * parts - inside : inside;
}

/**
 * Add to a picture what place `k` of a stroke sprays, the stroke being the `index`-th of its drawing.
 * @type {(rules: Rules, picture: Points, stroke: Stroke, index: number, k: number) => void}
 */
export function sprayDot(rules, picture, { kind, brush, dots }, index, k) {
  const [radius, count] = rules.brushes[brush];
  const [x, y] = [rules.shares * dots[2 * k], rules.shares * dots[2 * k + 1]];
  const seed = (Math.imul(index, 0x9e3779b1) + Math.imul(k, 0x85ebca77)) | 0;
  for (let j = 0; j < count; j++) {
    const first = mixedBits((seed + Math.imul(j, 0xc2b2ae3d)) | 0);
    const second = mixedBits(first ^ SECOND);
    picture.x.push(mirrored(x + (((sumOfBytes(first) - 510) * radius) >> 9), rules));
    picture.y.push(mirrored(y + (((sumOfBytes(second) - 510) * radius) >> 9), rules));
    picture.kind.push(kind);
  }
}

/** @type {(rules: Rules, brush: number) => number} */
export const eraserOf = (rules, brush) => Math.max(rules.brushes[brush][0], rules.leastEraser);

/**
 * Take from a picture the points whose cell has its middle within the eraser; says how many.
 * @type {(rules: Rules, picture: Points, stroke: Stroke, k: number) => number}
 */
export function eraseDot(rules, picture, { brush, dots }, k) {
  const most = eraserOf(rules, brush) ** 2;
  const [x, y] = [rules.shares * dots[2 * k], rules.shares * dots[2 * k + 1]];
  /** @type {(at: number) => number} */
  const middle = (at) => rules.cell * Math.floor(at / rules.cell) + rules.cell / 2;
  let left = 0;
  const before = picture.x.length;
  for (let i = 0; i < before; i++) {
    if ((middle(picture.x[i]) - x) ** 2 + (middle(picture.y[i]) - y) ** 2 <= most) continue;
    for (const row of [picture.x, picture.y, picture.kind]) row[left] = row[i];
    left++;
  }
  for (const row of [picture.x, picture.y, picture.kind]) row.length = left;
  return before - left;
}

/** @type {(stroke: Stroke) => number} */
export const dotsOf = ({ dots }) => dots.length / 2;

/**
 * The picture of all strokes.
 * @type {(rules: Rules, strokes: Stroke[]) => Points}
 */
export function pictureOf(rules, strokes) {
  /** @type {Points} */
  const picture = { x: [], y: [], kind: [] };
  strokes.forEach((stroke, index) => {
    const isEraser = stroke.kind === rules.eraser;
    for (let k = 0; k < dotsOf(stroke); k++) {
      if (isEraser) eraseDot(rules, picture, stroke, k);
      else sprayDot(rules, picture, stroke, index, k);
    }
  });
  return picture;
}

/**
 * Points that were sprayed, erased ones too.
 * @type {(rules: Rules, strokes: Stroke[]) => number}
 */
export const sprayedBy = (rules, strokes) => strokes.reduce((sum, stroke) =>
  sum + (stroke.kind === rules.eraser ? 0 : dotsOf(stroke) * rules.brushes[stroke.brush][1]), 0);

/** @type {(row: number[]) => Stroke} */
export const fromRow = ([kind, brush, ...dots]) => ({ kind, brush, dots });
/** @type {(stroke: Stroke) => number[]} */
export const toRow = ({ kind, brush, dots }) => [kind, brush, ...dots];
