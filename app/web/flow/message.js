/**
 * The message that brings a flow: a header of JSON and float32 numbers, little-endian.
 *
 *     bytes 0-3        uint32, the length h of the header, padded with blanks so that 4 + h is a multiple of 8
 *     bytes 4-(3 + h)  the header: {"flow": Shape, "run": ..., "step": ...}
 *     from 4 + h on    float32, the numbers of the flow, in the order that `parts.js` reads them in
 */

/**
 * What `flow_shape` of the core says of a flow.
 *
 * @typedef {object} Shape
 * @property {number} blocks
 * @property {number[]} widths  units of x, of each hidden layer and of g(x), as [2, 32, 2]
 * @property {"residual" | "dense"} branch
 * @property {boolean} actnorm  whether an ActNorm stands before each block and after the last
 * @property {{tree: import("./expression.js").Tree, arrangement: Arrangement}} activation
 * @property {number[]} bounds  L of each block
 * @property {(number | "Infinity")[]} orders  of the norm that each L belongs to
 */

/** @typedef {"in place" | "both signs" | "sorted pairs"} Arrangement */

/**
 * @typedef {object} Message
 * @property {Shape} shape
 * @property {Float32Array} numbers
 * @property {unknown} run  which run it is of; undefined where the sender has none
 * @property {number} step  the training step; -1 where the sender has none
 */

/**
 * The parts of a message. The numbers are a view of it.
 *
 * @param {ArrayBuffer} buffer
 * @returns {Message}
 */
export function decodeMessage(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const begin = 4 + length;
  if (begin % 8 || begin > buffer.byteLength) {
    throw new Error(`A header of ${length} bytes in a message of ${buffer.byteLength}: it is no flow.`);
  }
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const numbers = new Float32Array(buffer, begin, (buffer.byteLength - begin) / 4);
  return { shape: header.flow, numbers, run: header.run, step: header.step ?? -1 };
}
