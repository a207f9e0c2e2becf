/**
 * A small writer of WebAssembly: functions of i32 numbers that work on vectors of four float32, with one memory.
 *
 * Code is a list of bytes. Every function below returns the code of one instruction, or adds it to a body.
 * https://webassembly.github.io/spec/core/binary/
 */

const I32 = 0x7f;
const V128 = 0x7b;
const NOTHING = 0x40; // the type of a block without a result
const PAGE = 65_536;

/** An unsigned number in LEB128. @param {number} value @returns {number[]} */
export function unsigned(value) {
  const bytes = [];
  let rest = value >>> 0;
  do {
    const seven = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest ? seven | 0x80 : seven);
  } while (rest);
  return bytes;
}

/** A signed number in LEB128. @param {number} value @returns {number[]} */
export function signed(value) {
  const bytes = [];
  let rest = value | 0;
  for (;;) {
    const seven = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && !(seven & 0x40)) || (rest === -1 && seven & 0x40)) return [...bytes, seven];
    bytes.push(seven | 0x80);
  }
}

/** Operations on vectors of four float32 (or, where they say so, four int32), by their number after the prefix 0xfd. */
export const LANES = {
  less: 0x43, atMost: 0x45,
  xor: 0x51, choose: 0x52,
  nearest: 0x6a, abs: 0xe0, negate: 0xe1, sqrt: 0xe3,
  add: 0xe4, subtract: 0xe5, multiply: 0xe6, divide: 0xe7, minimum: 0xe8, maximum: 0xe9,
  shiftLeft: 0xab, shiftRight: 0xac, addWhole: 0xae, subtractWhole: 0xb1, toWhole: 0xf8, fromWhole: 0xfa,
};

/** @param {keyof typeof LANES} name */
const lanes = (name) => [0xfd, ...unsigned(LANES[name])];

/** @typedef {ReturnType<typeof makeBody>} Body */

/**
 * The code of one function with so many i32 parameters and no result.
 *
 * @param {number} parameters
 */
export function makeBody(parameters) {
  /** @type {number[]} */
  const code = [];
  /** @type {number[]} */
  const types = [];

  /** @param {number[]} bytes */
  const put = (...bytes) => {
    for (const byte of bytes) code.push(byte);
  };
  /** @param {number} type */
  const local = (type) => parameters + types.push(type) - 1;
  /** @param {number} place */
  const get = (place) => put(0x20, ...unsigned(place));
  /** @param {number} place */
  const set = (place) => put(0x21, ...unsigned(place));
  /** @param {number} value */
  const whole = (value) => put(0x41, ...signed(value));

  return {
    code,
    types,
    get,
    set,
    whole,
    newWhole: () => local(I32),
    newVector: () => local(V128),
    /** Move a pointer on. @param {number} place @param {number} by */
    advance(place, by) {
      get(place);
      whole(by);
      put(0x6a); // i32.add
      set(place);
    },
    addWhole: () => put(0x6a),
    multiplyWhole: () => put(0x6c),
    /** One operation on the vectors on the stack. @param {keyof typeof LANES} name */
    lanes: (name) => put(...lanes(name)),
    /** Four times the same number. @param {number} value */
    number(value) {
      const bytes = new Uint8Array(new Float32Array([value, value, value, value]).buffer);
      put(0xfd, 0x0c, ...bytes);
    },
    /** Four times the same whole number. @param {number} value */
    wholeNumber(value) {
      const bytes = new Uint8Array(new Int32Array([value, value, value, value]).buffer);
      put(0xfd, 0x0c, ...bytes);
    },
    /** A vector at the address on the stack. @param {number} [offset] */
    load: (offset = 0) => put(0xfd, 0x00, 2, ...unsigned(offset)),
    /** The number at the address on the stack, four times. @param {number} [offset] */
    loadNumber: (offset = 0) => put(0xfd, 0x09, 2, ...unsigned(offset)),
    /** Address and vector on the stack. @param {number} [offset] */
    store: (offset = 0) => put(0xfd, 0x0b, 2, ...unsigned(offset)),
    /**
     * Do something until a whole number, which it moves on, reaches an end. It is done once at least.
     *
     * @param {number} place
     * @param {() => void} end  puts the end on the stack
     * @param {() => void} inside
     */
    loop(place, end, inside) {
      put(0x03, NOTHING);
      inside();
      get(place);
      end();
      put(0x48); // i32.lt_s
      put(0x0d, 0); // back to the beginning of the loop
      put(0x0b);
    },
  };
}

/** @param {number} id @param {number[]} content */
const section = (id, content) => [id, ...unsigned(content.length), ...content];
/** @param {number[][]} items */
const vector = (items) => [...unsigned(items.length), ...items.flat()];
/** @param {string} name */
const text = (name) => [...unsigned(name.length), ...new TextEncoder().encode(name)];

/**
 * The bytes of a module that exports its memory and these functions of `parameters` i32 numbers.
 *
 * @param {Record<string, Body>} functions
 * @param {number} parameters
 * @param {number} memory  bytes
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function moduleOf(functions, parameters, memory) {
  const names = Object.keys(functions);
  const bodies = Object.values(functions).map(({ code, types }) => {
    const locals = vector(types.map((type) => [1, type]));
    const body = [...locals, ...code, 0x0b];
    return [...unsigned(body.length), ...body];
  });
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
    ...section(1, vector([[0x60, ...vector(Array(parameters).fill([I32])), 0]])),
    ...section(3, vector(names.map(() => [0]))),
    ...section(5, vector([[0, ...unsigned(Math.ceil(memory / PAGE))]])),
    ...section(7, vector([
      [...text("memory"), 2, 0],
      ...names.map((name, k) => [...text(name), 0, ...unsigned(k)]),
    ])),
    ...section(10, vector(bodies)),
  ]);
}
