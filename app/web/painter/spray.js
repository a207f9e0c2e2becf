// Strokes to points, in the same whole numbers as `app/drawing/points.py`: parts of a place, 0 to `rules.parts`. A
// stroke is {kind, brush, dots: [x, y, x, y, ...]}, and a picture {x, y, kind}, a row each.

const SECOND = 0x27d4eb2f;

/** The finaliser of MurmurHash3 (Appleby, public domain), of 32 bits. */
function mixedBits(bits) {
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

const sumOfBytes = (bits) => (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24);

function mirrored(at, { parts }) {
  const inside = Math.abs(at);
  return inside > parts ? 2 * parts - inside : inside;
}

/** Add to a picture what place `k` of a stroke sprays, the stroke being the `index`-th of its drawing. */
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

export const eraserOf = (rules, brush) => Math.max(rules.brushes[brush][0], rules.leastEraser);

/** Take from a picture the points whose cell has its middle within the eraser; says how many. */
export function eraseDot(rules, picture, { brush, dots }, k) {
  const most = eraserOf(rules, brush) ** 2;
  const [x, y] = [rules.shares * dots[2 * k], rules.shares * dots[2 * k + 1]];
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

export const dotsOf = ({ dots }) => dots.length / 2;

/** The picture of all strokes. */
export function pictureOf(rules, strokes) {
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

/** Points that were sprayed, erased ones too. */
export const sprayedBy = (rules, strokes) => strokes.reduce((sum, stroke) =>
  sum + (stroke.kind === rules.eraser ? 0 : dotsOf(stroke) * rules.brushes[stroke.brush][1]), 0);

export const fromRow = ([kind, brush, ...dots]) => ({ kind, brush, dots });
export const toRow = ({ kind, brush, dots }) => [kind, brush, ...dots];
