/**
 * The branches of flows of one shape in single precision: WebAssembly that is written for the shape and its activation,
 * four points at a time. It computes the same as `branches.js`.
 *
 * Memory: the room (x, y, gx, gy, a, b, c, d), then the units that are at hand and those that a layer makes, each with
 * value h and tangents s and t, four points each; then the numbers of the flow.
 */

import { tapeOf } from "./expression.js";
import { written } from "./lanes.js";
import { layoutOf } from "./parts.js";
import { singleRecorder } from "./single.js";
import { makeBody, moduleOf } from "./wasm.js";

/** @typedef {import("./branches.js").Branches} Branches */
/** @typedef {import("./branches.js").Room} Room */
/** @typedef {import("./message.js").Shape} Shape */
/** @typedef {import("./parts.js").Layer} Layer */
/** @typedef {import("./parts.js").Layout} Layout */
/** @typedef {import("./tape.js").Tape} Tape */
/** @typedef {import("./wasm.js").Body} Body */

// Points at a time: many of a small flow, which need few calls; few of a large one, so that no page is kept waiting.
const [FEWEST, MOST] = [64, 512];
const NUMBERS = 2_000_000; // about so many products of a number of the flow and a point at a time
const NAMES = /** @type {const} */ (["x", "y", "gx", "gy", "a", "b", "c", "d"]);
const FLOAT = 4; // bytes
const FOUR = 4 * FLOAT; // of one unit of four points
const SINGLE_EPSILON = 2 ** -23;

/** Where things are, in bytes. @param {Layout} layout */
function memoryOf({ layers, copies, units, count }) {
  const points = Math.max(FEWEST, Math.min(MOST, 4 * Math.round(NUMBERS / count / 4)));
  const rows = Math.max(2, ...layers.map((layer) => layer.rows));
  const most = units + copies * rows;
  let at = 0;
  /** @param {number} bytes */
  const take = (bytes) => {
    at += bytes;
    return at - bytes;
  };
  const room = /** @type {Record<typeof NAMES[number], number>} */ (
    Object.fromEntries(NAMES.map((name) => [name, take(points * FLOAT)])));
  const makeUnits = () => ({ h: take(most * FOUR), s: take(most * FOUR), t: take(most * FOUR) });
  const [here, there] = [makeUnits(), makeUnits()];
  const numbers = take(count * FLOAT);
  return { points, room, here, there, numbers, size: at };
}

/** @typedef {ReturnType<typeof memoryOf>} Memory */
/** @typedef {Memory["here"]} Units */

/**
 * A writer of the code of one function (first, n): `first` is the address of a block's numbers, and n the number of
 * points.
 *
 * @param {Shape} shape
 * @param {Layout} layout
 * @param {Memory} memory
 * @param {Tape} tape
 * @param {boolean} withJacobian
 */
function branchBody(shape, layout, memory, tape, withJacobian) {
  const body = makeBody(2);
  const [first, n] = [0, 1];
  const { room } = memory;
  const isDense = shape.branch === "dense";
  const at = body.newWhole(); // bytes into each array of the room
  const [x, y] = [body.newVector(), body.newVector()];
  /** @param {number} address @param {number} vector */
  const store = (address, vector) => {
    body.get(at);
    body.get(vector);
    body.store(address);
  };
  /** @param {number} number  a place in a block's numbers */
  const loadNumber = (number) => {
    body.get(first);
    body.loadNumber(number * FLOAT);
  };
  /** @param {number} address @param {number} into */
  const load = (address, into) => {
    body.get(at);
    body.load(address);
    if (!isDense) {
      loadNumber(layout.beta);
      body.lanes("multiply");
    }
    body.set(into);
  };
  const isSimple = layout.layers.length === 2 && shape.activation.arrangement === "in place";
  const inner = { body, first, layout, memory, tape, isDense, withJacobian, arrangement: shape.activation.arrangement };
  body.loop(at, () => {
    body.get(n);
    body.whole(FLOAT);
    body.multiplyWhole();
  }, () => {
    load(room.x, x);
    load(room.y, y);
    const found = isSimple ? oneHiddenLayer(inner, x, y) : severalLayers(inner, x, y);
    if (!isDense && withJacobian) {
      for (const vector of found.slice(2)) {
        body.get(vector);
        loadNumber(layout.beta);
        body.lanes("multiply");
        body.set(vector);
      }
    }
    found.forEach((vector, k) => {
      store(room[NAMES[2 + k]], vector);
    });
    body.advance(at, FOUR);
  });
  return body;
}

/**
 * @typedef {object} Inner
 * @property {Body} body
 * @property {number} first
 * @property {Layout} layout
 * @property {Memory} memory
 * @property {Tape} tape
 * @property {boolean} isDense
 * @property {boolean} withJacobian
 * @property {Shape["activation"]["arrangement"]} arrangement
 */

/**
 * One hidden layer of units that are activated each by itself: nothing but sums over the units is kept. With p = raw(x)
 * (in dense blocks p = x), h = w p + b for each unit, and u its column of the second layer,
 *
 *     g = sum_k u_k raw(h_k) + b_2,   A = sum_k u_k raw'(h_k) w_k', its columns times raw'(x).
 *
 * @param {Inner} inner
 * @param {number} x
 * @param {number} y
 * @returns {number[]}  the vectors of g, and of A
 */
function oneHiddenLayer({ body, first, layout, tape, isDense, withJacobian }, x, y) {
  const [inward, outward] = layout.layers;
  const columns = isDense ? 2 : 0; // of the second layer, for x itself
  /** @param {number} number */
  const loadNumber = (number) => {
    body.get(first);
    body.loadNumber(number * FLOAT);
  };
  const entry = isDense ? [] : [x, y].map((vector) => written(body, tape, vector, withJacobian));
  const [p, q] = isDense ? [x, y] : entry.map(({ value }) => value);
  const sums = Array.from({ length: withJacobian ? 6 : 2 }, () => body.newVector());
  sums.forEach((sum, k) => {
    const row = k < 2 ? k : k < 4 ? 0 : 1; // of gx, gy, a, b, c, d
    if (k < 2) loadNumber(outward.biases + row);
    else if (isDense) loadNumber(outward.weights + row * outward.columns + (k % 2));
    else body.number(0);
    if (k < 2 && isDense) {
      for (const [column, vector] of [x, y].entries()) {
        loadNumber(outward.weights + row * outward.columns + column);
        body.get(vector);
        body.lanes("multiply");
        body.lanes("add");
      }
    }
    body.set(sum);
  });
  // One pointer goes through the rows of the first layer, another through biases and the rows of the second layer.
  const [ofRow, ofUnit, end] = [body.newWhole(), body.newWhole(), body.newWhole()];
  body.get(first);
  body.set(ofUnit);
  body.get(first);
  body.set(ofRow);
  body.get(first);
  body.whole(inward.rows * FLOAT);
  body.addWhole();
  body.set(end);
  const [w, v, u, r, h] = Array.from({ length: 5 }, () => body.newVector());
  /** @param {number} pointer @param {number} number @param {number} into */
  const fetch = (pointer, number, into) => {
    body.get(pointer);
    body.loadNumber(number * FLOAT);
    body.set(into);
  };
  /** sum += a b @param {number} sum @param {number} a @param {number} b */
  const accumulate = (sum, a, b) => {
    body.get(sum);
    body.get(a);
    body.get(b);
    body.lanes("multiply");
    body.lanes("add");
    body.set(sum);
  };
  body.loop(ofUnit, () => body.get(end), () => {
    fetch(ofRow, inward.weights, w);
    fetch(ofRow, inward.weights + 1, v);
    fetch(ofUnit, inward.biases, h);
    accumulate(h, w, p);
    accumulate(h, v, q);
    const { value, slope } = written(body, tape, h, withJacobian);
    fetch(ofUnit, outward.weights + columns, u);
    fetch(ofUnit, outward.weights + outward.columns + columns, r);
    accumulate(sums[0], u, value);
    accumulate(sums[1], r, value);
    if (withJacobian) {
      for (const vector of [u, r]) {
        body.get(vector);
        body.get(slope);
        body.lanes("multiply");
        body.set(vector);
      }
      accumulate(sums[2], u, w);
      accumulate(sums[3], u, v);
      accumulate(sums[4], r, w);
      accumulate(sums[5], r, v);
    }
    body.advance(ofRow, 2 * FLOAT);
    body.advance(ofUnit, FLOAT);
  });
  if (!isDense && withJacobian) {
    sums.slice(2).forEach((sum, k) => {
      body.get(sum);
      body.get(entry[k % 2].slope);
      body.lanes("multiply");
      body.set(sum);
    });
  }
  return sums;
}

/**
 * Any number of layers: value and tangents of all units go through memory.
 *
 * @param {Inner} inner
 * @param {number} x
 * @param {number} y
 * @returns {number[]}  the vectors of g, and of A
 */
function severalLayers(inner, x, y) {
  const { body, layout, memory, isDense, withJacobian } = inner;
  const { here, there } = memory;
  const start = isDense ? here : there;
  const zero = body.newWhole();
  body.whole(0);
  body.set(zero);
  /** @param {number} address @param {() => void} what */
  const store = (address, what) => {
    body.get(zero);
    what();
    body.store(address);
  };
  store(start.h, () => body.get(x));
  store(start.h + FOUR, () => body.get(y));
  if (withJacobian) {
    for (const [address, number] of [[start.s, 1], [start.s + FOUR, 0], [start.t, 0], [start.t + FOUR, 1]]) {
      store(address, () => body.number(number));
    }
  }
  let units = isDense ? 2 : activate(inner, 2, 0);
  for (const [k, layer] of layout.layers.entries()) {
    through(inner, layer);
    if (k + 1 === layout.layers.length) break;
    const begin = isDense ? units : 0;
    units = begin + activate(inner, layer.rows, begin);
  }
  const places = [there.h, there.h + FOUR];
  if (withJacobian) places.push(there.s, there.t, there.s + FOUR, there.t + FOUR);
  return places.map((address) => {
    const vector = body.newVector();
    body.get(zero);
    body.load(address);
    body.set(vector);
    return vector;
  });
}

/**
 * raw of so many units in `there`, into `here` from the unit `begin` on; returns how many numbers it makes.
 *
 * @param {Inner} inner
 * @param {number} units
 * @param {number} begin
 */
function activate({ body, memory: { here, there }, tape, arrangement, withJacobian }, units, begin) {
  const kinds = /** @type {("h" | "s" | "t")[]} */ (withJacobian ? ["h", "s", "t"] : ["h"]);
  const unit = body.newWhole(); // bytes
  /**
   * raw of vectors (h, s, t), to the place of the unit at hand and `offset` bytes on.
   *
   * @param {number[]} vectors
   * @param {number} offset
   */
  const keep = ([h, s, t], offset) => {
    const { value, slope } = written(body, tape, h, withJacobian);
    /** @param {number} address @param {() => void} what */
    const store = (address, what) => {
      body.get(unit);
      what();
      body.store(address + begin * FOUR + offset);
    };
    store(here.h, () => body.get(value));
    if (!withJacobian) return;
    for (const [address, vector] of [[here.s, s], [here.t, t]]) {
      store(address, () => {
        body.get(slope);
        body.get(vector);
        body.lanes("multiply");
      });
    }
  };
  /** The vectors (h, s, t) of the unit at hand, or `offset` bytes on. @param {number} offset */
  const fetch = (offset) => kinds.map((kind) => {
    const vector = body.newVector();
    body.get(unit);
    body.load(there[kind] + offset);
    body.set(vector);
    return vector;
  });
  /** @param {number} from @param {number} to @param {number} step @param {() => void} inside */
  const each = (from, to, step, inside) => {
    if (from >= to) return;
    body.whole(from * FOUR);
    body.set(unit);
    body.loop(unit, () => body.whole(to * FOUR), () => {
      inside();
      body.advance(unit, step * FOUR);
    });
  };
  if (arrangement === "sorted pairs") {
    const paired = units - (units % 2);
    each(0, paired, 2, () => {
      const [first, second] = [fetch(0), fetch(FOUR)];
      const isSwapped = body.newVector();
      body.get(first[0]);
      body.get(second[0]);
      body.lanes("less");
      body.set(isSwapped);
      /** @param {number[]} one @param {number[]} other */
      const chosen = (one, other) => one.map((_, k) => {
        const vector = body.newVector();
        body.get(other[k]);
        body.get(one[k]);
        body.get(isSwapped);
        body.lanes("choose");
        body.set(vector);
        return vector;
      });
      const [larger, smaller] = [chosen(first, second), chosen(second, first)];
      keep(larger, 0);
      keep(smaller, FOUR);
    });
    each(paired, units, 1, () => keep(fetch(0), 0));
    return units;
  }
  each(0, units, 1, () => {
    const vectors = fetch(0);
    keep(vectors, 0);
    if (arrangement !== "both signs") return;
    const negative = vectors.map((from) => {
      const vector = body.newVector();
      body.get(from);
      body.lanes("negate");
      body.set(vector);
      return vector;
    });
    keep(negative, units * FOUR);
  });
  return arrangement === "both signs" ? 2 * units : units;
}

/**
 * W h + b and W times the tangents, from `here` to `there`, two rows at a time.
 *
 * @param {Inner} inner
 * @param {Layer} layer
 */
function through({ body, first, memory: { here, there }, withJacobian }, { rows, columns, weights, biases }) {
  const kinds = /** @type {("h" | "s" | "t")[]} */ (withJacobian ? ["h", "s", "t"] : ["h"]);
  const [weight, bias, out, unit] = Array.from({ length: 4 }, () => body.newWhole());
  const [w, from] = [body.newVector(), body.newVector()];
  /** @param {number} together  rows */
  const some = (together) => {
    const sums = Array.from({ length: together }, (_, row) => kinds.map((kind) => {
      const sum = body.newVector();
      if (kind === "h") {
        body.get(bias);
        body.loadNumber((biases + row) * FLOAT);
      } else body.number(0);
      body.set(sum);
      return sum;
    }));
    body.whole(0);
    body.set(unit);
    body.loop(unit, () => body.whole(columns * FOUR), () => {
      const ofRows = sums.map((_, row) => {
        const vector = row ? body.newVector() : w;
        body.get(weight);
        body.loadNumber((weights + row * columns) * FLOAT);
        body.set(vector);
        return vector;
      });
      for (const [k, kind] of kinds.entries()) {
        body.get(unit);
        body.load(here[kind]);
        body.set(from);
        for (const [row, vector] of ofRows.entries()) {
          body.get(sums[row][k]);
          body.get(vector);
          body.get(from);
          body.lanes("multiply");
          body.lanes("add");
          body.set(sums[row][k]);
        }
      }
      body.advance(weight, FLOAT);
      body.advance(unit, FOUR);
    });
    body.advance(weight, (together - 1) * columns * FLOAT);
    for (const [row, ofRow] of sums.entries()) {
      for (const [k, kind] of kinds.entries()) {
        body.get(out);
        body.get(ofRow[k]);
        body.store(there[kind] + row * FOUR);
      }
    }
    body.advance(bias, together * FLOAT);
    body.advance(out, together * FOUR);
  };
  for (const pointer of [weight, bias]) {
    body.get(first);
    body.set(pointer);
  }
  body.whole(0);
  body.set(out);
  const paired = rows - (rows % 2);
  if (paired) body.loop(out, () => body.whole(paired * FOUR), () => some(2));
  if (rows % 2) some(1);
}

/**
 * Null where the browser has no WebAssembly with vectors, or forbids it.
 *
 * @param {Shape} shape
 * @returns {Branches | null}
 */
export function branchesInSingle(shape) {
  const layout = layoutOf(shape);
  const tape = tapeOf(shape.activation.tree, singleRecorder());
  const memory = memoryOf(layout);
  const bodies = {
    value: branchBody(shape, layout, memory, tape, false),
    jacobian: branchBody(shape, layout, memory, tape, true),
  };
  /** @type {any} */
  let exports;
  try {
    exports = new WebAssembly.Instance(new WebAssembly.Module(moduleOf(bodies, 2, memory.size))).exports;
  } catch {
    return null;
  }
  const bytes = exports.memory.buffer;
  const numbers = new Float32Array(bytes, memory.numbers, layout.count);
  const room = /** @type {Room} */ (
    Object.fromEntries(NAMES.map((name) => [name, new Float32Array(bytes, memory.room[name], memory.points)])));
  /** @param {number} block */
  const addressOf = (block) => memory.numbers + block * layout.stride * FLOAT;
  return {
    most: memory.points,
    epsilon: SINGLE_EPSILON,
    make: (n) => new Float32Array(n),
    room,
    load(loaded) {
      if (loaded.length !== layout.count) throw new Error(`${loaded.length} numbers: the flow has ${layout.count}.`);
      numbers.set(loaded);
    },
    value: (block, n) => exports.value(addressOf(block), n),
    jacobian: (block, n) => exports.jacobian(addressOf(block), n),
  };
}
