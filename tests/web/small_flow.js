/** A small flow made of random numbers, as the core would send it. */

import { layoutOf } from "../../app/web/flow/parts.js";

/** @typedef {import("../../app/web/flow/message.js").Shape} Shape */

/** Numbers from 0 to 1 that are the same each time. @param {number} seed */
export function randomNumbers(seed) {
  let state = seed + 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * @param {Partial<Shape>} [given]
 * @returns {Shape}
 */
export function shapeOf(given = {}) {
  const blocks = given.blocks ?? 3;
  return {
    blocks,
    widths: [2, 5, 2],
    branch: "residual",
    actnorm: true,
    activation: { tree: ["sin", "z"], arrangement: "in place" },
    bounds: Array(blocks).fill(0.9),
    orders: Array(blocks).fill(2),
    ...given,
  };
}

/** @param {Shape} shape @param {number} seed */
export function numbersOf(shape, seed) {
  const layout = layoutOf(shape);
  const random = randomNumbers(seed);
  const numbers = Float32Array.from({ length: layout.count }, () => 0.4 * (random() - 0.5));
  if (shape.actnorm) for (let k = 0; k <= shape.blocks; k++) numbers.set([1.2, 0.8], k * layout.stride);
  return numbers;
}

/** @param {Shape} shape @param {number} step @param {number} [seed] */
export function messageOf(shape, step, seed = 0) {
  const header = JSON.stringify({ flow: shape, step, run: "r" });
  const padded = header.padEnd(Math.ceil((header.length + 4) / 8) * 8 - 4);
  const numbers = numbersOf(shape, seed);
  const buffer = new ArrayBuffer(4 + padded.length + numbers.byteLength);
  new DataView(buffer).setUint32(0, padded.length, true);
  new Uint8Array(buffer).set(new TextEncoder().encode(padded), 4);
  new Uint8Array(buffer).set(new Uint8Array(numbers.buffer), 4 + padded.length);
  return buffer;
}
