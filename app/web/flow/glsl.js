/** The density of flows of one shape as a fragment shader: log p at one node of a grid. */

import { layoutOf } from "./parts.js";
import { neededSteps } from "./tape.js";

/** @typedef {import("./message.js").Shape} Shape */
/** @typedef {import("./parts.js").Layer} Layer */
/** @typedef {import("./tape.js").Tape} Tape */

/** Numbers of the flow in one row of their texture. */
export const TEXTURE_WIDTH = 1024;

/** @param {number} value */
const literal = (value) => {
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? text.replace(/^(-?\d+)e/, "$1.0e") : `${text}.0`;
};

/** What a step is as an expression of its arguments. @type {Record<string, (...parts: string[]) => string>} */
const EXPRESSIONS = {
  add: (a, b) => `${a} + ${b}`,
  subtract: (a, b) => `${a} - ${b}`,
  multiply: (a, b) => `${a} * ${b}`,
  divide: (a, b) => `${a} / ${b}`,
  minimum: (a, b) => `min(${a}, ${b})`,
  maximum: (a, b) => `max(${a}, ${b})`,
  negate: (a) => `-(${a})`,
  abs: (a) => `abs(${a})`,
  sqrt: (a) => `sqrt(${a})`,
  exp: (a) => `exp(clamp(${a}, -87.0, 88.0))`,
  log: (a) => `log(${a})`,
  nearest: (a) => `roundEven(${a})`,
  alternate: (a, b) => `(int(${a}) & 1) == 0 ? ${b} : -(${b})`,
  whereLess: (a, b, c, d) => `${a} < ${b} ? ${c} : ${d}`,
  whereAtMost: (a, b, c, d) => `${a} <= ${b} ? ${c} : ${d}`,
};

/** A function of z that returns value and slope. @param {Tape} tape  in single precision (`single.js`) */
function functionText(tape) {
  /** @param {number} place */
  const name = (place) => {
    const { operation, number } = tape.steps[place];
    if (operation === "number") return `(${literal(number)})`;
    return operation === "z" ? "z" : `v${place}`;
  };
  const lines = neededSteps(tape, [tape.value, tape.slope]).flatMap((place) => {
    const { operation, parts } = tape.steps[place];
    if (operation === "z" || operation === "number") return [];
    return [`  float v${place} = ${EXPRESSIONS[operation](...parts.map(name))};`];
  });
  return `vec2 raw(float z) {\n${lines.join("\n")}\n  return vec2(${name(tape.value)}, ${name(tape.slope)});\n}`;
}

/**
 * One hidden layer of units that are activated each by itself, as in `simd.js`: only sums over the units are kept.
 *
 * @param {import("./parts.js").Layout} layout
 * @param {boolean} isDense
 */
function oneHiddenLayer({ layers: [inward, outward], beta }, isDense) {
  const columns = isDense ? 2 : 0;
  const second = outward.weights + outward.columns;
  const entry = isDense
    ? `vec2 p = x;
  g += p.x * vec2(num(first + ${outward.weights}), num(first + ${second}));
  g += p.y * vec2(num(first + ${outward.weights + 1}), num(first + ${second + 1}));
  A += vec4(num(first + ${outward.weights}), num(first + ${outward.weights + 1}),
    num(first + ${second}), num(first + ${second + 1}));`
    : `float beta = num(first + ${beta});
  vec2 px = raw(beta * x.x), py = raw(beta * x.y), p = vec2(px.x, py.x);`;
  const exit = isDense ? "" : "A *= beta * vec4(px.y, py.y, px.y, py.y);";
  return `void branch(int first, vec2 x, out vec2 g, out vec4 A) {
  g = vec2(num(first + ${outward.biases}), num(first + ${outward.biases + 1}));
  A = vec4(0.0);
  ${entry}
  for (int k = 0; k < ${inward.rows}; k++) {
    int row = first + ${inward.weights} + 2 * k;
    vec2 w = vec2(num(row), num(row + 1));
    vec2 u = vec2(num(first + ${outward.weights + columns} + k), num(first + ${second + columns} + k));
    vec2 r = raw(dot(w, p) + num(first + ${inward.biases} + k));
    g += u * r.x;
    A += r.y * vec4(u.x * w, u.y * w);
  }
  ${exit}
}`;
}

/**
 * Any number of layers: value and tangents of all units are kept in arrays of vec3 (h, s, t).
 *
 * @param {Shape} shape
 * @param {import("./parts.js").Layout} layout
 */
function severalLayers({ branch, widths, activation: { arrangement } }, layout) {
  const isDense = branch === "dense";
  const room = layout.units + layout.copies * Math.max(...widths);
  const one = (/** @type {string} */ from, /** @type {string} */ to) =>
    `{ vec3 u = ${from}; vec2 r = raw(u.x); ${to} = vec3(r.x, r.y * u.yz); }`;
  const ways = {
    "in place": one("there[k]", "here[begin + k]"),
    "both signs": one("there[k]", "here[begin + k]") + one("-there[k]", "here[begin + units + k]"),
    "sorted pairs": `if ((k & 1) == 0 && k + 1 < units && there[k].x < there[k + 1].x) {
      vec3 larger = there[k + 1]; there[k + 1] = there[k]; there[k] = larger; }
    ${one("there[k]", "here[begin + k]")}`,
  };
  const start = isDense ? "here" : "there";
  const lines = [`float beta = ${isDense ? "1.0" : `num(first + ${layout.beta})`};`,
    `${start}[0] = vec3(beta * x.x, beta, 0.0); ${start}[1] = vec3(beta * x.y, 0.0, beta);`];
  let units = 2;
  if (!isDense) {
    lines.push("activate(2, 0);");
    units = 2 * layout.copies;
  }
  for (const [k, { rows, columns, weights, biases }] of layout.layers.entries()) {
    lines.push(`through(${rows}, ${columns}, first + ${weights}, first + ${biases});`);
    if (k + 1 === layout.layers.length) break;
    lines.push(`activate(${rows}, ${isDense ? units : 0});`);
    units = (isDense ? units : 0) + layout.copies * rows;
  }
  return `vec3 here[${room}], there[${room}];
void activate(int units, int begin) {
  for (int k = 0; k < units; k++) {
    ${ways[arrangement]}
  }
}
void through(int rows, int columns, int weights, int biases) {
  for (int row = 0; row < rows; row++) {
    vec3 sum = vec3(num(biases + row), 0.0, 0.0);
    for (int k = 0; k < columns; k++) sum += num(weights + row * columns + k) * here[k];
    there[row] = sum;
  }
}
void branch(int first, vec2 x, out vec2 g, out vec4 A) {
  ${lines.join("\n  ")}
  g = vec2(there[0].x, there[1].x);
  A = vec4(there[0].yz, there[1].yz);
}`;
}

/**
 * The text of the shader. Its uniforms: `numbers`, the texture of the numbers; `corner` and `spacing` of the grid.
 *
 * @param {Shape} shape
 * @param {Tape} tape
 */
export function shaderText(shape, tape) {
  const layout = layoutOf(shape);
  const isDense = shape.branch === "dense";
  const isSimple = layout.layers.length === 2 && shape.activation.arrangement === "in place";
  const branch = isSimple ? oneHiddenLayer(layout, isDense) : severalLayers(shape, layout);
  /** @param {string} first */
  const norm = (first) => (layout.norm < 0 ? "" : `{
    int at = ${first};
    vec2 scale = vec2(num(at), num(at + 1));
    x = scale * x + vec2(num(at + 2), num(at + 3));
    sum += log(abs(scale.x * scale.y));
  }`);
  return `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
uniform sampler2D numbers;
uniform vec2 corner, spacing;
out vec4 found;
float num(int i) {
  return texelFetch(numbers, ivec2(i & ${TEXTURE_WIDTH - 1}, i / ${TEXTURE_WIDTH}), 0).r;
}
${functionText(tape)}
${branch}
void main() {
  vec2 x = corner + floor(gl_FragCoord.xy) * spacing;
  float sum = 0.0;
  for (int block = 0; block < ${shape.blocks}; block++) {
    int first = block * ${layout.stride};
    ${norm(`first + ${layout.norm}`)}
    vec2 g;
    vec4 A;
    branch(first, x, g, A);
    x += g;
    sum += log(abs((1.0 + A.x) * (1.0 + A.w) - A.y * A.z));
  }
  ${norm(String(shape.blocks * layout.stride))}
  found = vec4(sum - 0.5 * dot(x, x) - ${Math.log(2 * Math.PI)}, x, 1.0);
}`;
}
