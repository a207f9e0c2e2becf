// One draw, piece by piece, and draws as the rows of a staircase whose columns are the terms. Everything is an element
// of the page, so it can be read aloud; the dots of the sums are one picture beside the rows.

import { shown } from "../canvas/numbers.js";
import { isCalm } from "../canvas/page.js";
import { partOf, partOfKind } from "../part.js";

/** @import { Call } from "../types.js" */
/** @import { Column, Data, Piece, Row } from "./types.js" */

const PACE = 650; // milliseconds a piece, when it plays slowly
const GREEN = "#009E73", VERMILION = "#D55E00", BLUE = "#0072B2";
const DOTS = [88, 220], WIDE = 160; // pixels of the picture beside the rows, at least and at most; room for long words
const ROW = 24, FOOT = 3; // pixels of a row; rows below the draws
/** @type {WeakMap<HTMLElement, Staircase>} */
const views = new WeakMap();

/** @type {(tag: string, className?: string, text?: string) => HTMLElement} */
const element = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

/** @type {(tag: string, attributes: Record<string, string | number>, text?: string) => SVGElement} */
const drawn = (tag, attributes, text) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
};

/** @type {(data: Data) => Piece[]} */
function pieces({ rows, coin }) {
  const row = rows.at(-1);
  if (!row) return [];
  const tosses = coin ? Math.max(row.n - coin.certain, 0) + (row.goesOn ? 0 : 1) : 1;
  /** @type {(kind: Piece[0], count: number) => Piece[]} */
  const each = (kind, count) => Array.from({ length: count }, (_, k) => [kind, k]);
  return [...each("toss", tosses), ...each("v", 1), ...each("term", row.cells.length), ...each("sum", 1)];
}

class Staircase {
  /**
   * @param {HTMLElement} root
   * @param {Data} data
   */
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.all = pieces(data);
    this.at = this.all.length; // pieces of the newest draw that are seen
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.timer = undefined;
    partOf(root, '[data-do="back"]').onclick = () => this.back();
    partOf(root, '[data-do="next"]').onclick = () => this.next();
    partOf(root, '[data-do="play"]').onclick = () => this.play();
    partOf(root, ".stair-one").onkeydown = (event) => {
      const isArrow = event.key === "ArrowRight" || event.key === "ArrowLeft";
      if (!isArrow || (event.target instanceof Element && event.target.closest("input"))) return;
      event.preventDefault();
      if (event.key === "ArrowRight") this.next();
      else this.back();
    };
  }

  /**
   * Show what the page knows now. A single new draw is seen from its first piece on, unless nothing should move.
   * @param {Data} data
   */
  show(data) {
    const isNew = data.rows.at(-1)?.id !== this.data.rows.at(-1)?.id;
    const isNext = isNew && data.count === this.data.count + 1;
    this.data = data;
    this.all = pieces(data);
    if (isNew) this.at = isNext && !isCalm() ? 0 : this.all.length;
    this.draw();
    if (isNext && !isCalm()) this.play(true);
  }

  /** The next piece; from the beginning where all is seen already. */
  next() {
    this.stop();
    this.seen(this.at < this.all.length ? this.at + 1 : 0);
  }

  back() {
    this.stop();
    this.seen(this.at - 1);
  }

  /** From the beginning where all is seen already. */
  play(on = !this.timer) {
    this.stop();
    if (on) {
      if (this.at >= this.all.length) this.seen(0);
      this.timer = setInterval(() => this.at < this.all.length ? this.seen(this.at + 1) : this.stop(), PACE);
    }
    this.pressed();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.pressed();
  }

  pressed() {
    partOf(this.root, '[data-do="play"]').setAttribute("aria-pressed", String(Boolean(this.timer)));
  }

  /** @param {number} count */
  seen(count) {
    this.at = Math.max(0, Math.min(count, this.all.length));
    this.draw();
    partOf(this.root, ".stair-heard").textContent = this.told();
  }

  /** The newest piece, for those who hear the page. */
  told() {
    const [piece, row] = [this.all[this.at - 1], this.data.rows.at(-1)];
    if (!piece || !row) return "";
    const [kind, k] = piece;
    if (kind === "term") return `Term ${k + 1}: ${row.cells[k].shown}`;
    if (kind === "v") return `v = ${row.v}`;
    if (kind === "sum") return `Sum ${row.shown}`;
    return this.toss(row, k)[1];
  }

  /**
   * What one toss says: a letter and a sentence.
   * @param {Row} row
   * @param {number} k
   */
  toss(row, k) {
    const { coin } = this.data;
    if (!coin) return [String(row.n), `N = ${row.n}`];
    const goesOn = coin.certain + k < row.n || row.goesOn;
    return goesOn ? ["H", "heads: one more term"] : ["T", `tails: stop, N = ${row.n}`];
  }

  /** @param {Piece[0]} kind */
  has(kind, k = 0) {
    return this.all.slice(0, this.at).some(([one, at]) => one === kind && at === k);
  }

  draw() {
    this.drawOne();
    this.drawRows();
    partOfKind(this.root, '[data-do="back"]', HTMLButtonElement).disabled = !this.at;
    partOf(this.root, '[data-do="next"]').textContent = this.at < this.all.length ? "Next step" : "Again";
  }

  drawOne() {
    const { rows, columns, coin, words } = this.data;
    const row = rows.at(-1);
    const one = partOf(this.root, ".stair-one");
    one.hidden = !row;
    if (!row) return;
    partOf(one, "h3").textContent = row.title;
    const coins = partOf(one, ".stair-coins");
    coins.replaceChildren();
    if (coin?.certain) coins.append(element("span", "stair-certain", words.certain));
    this.all.filter(([kind]) => kind === "toss").forEach(([, k]) => {
      const [letter, title] = this.toss(row, k);
      const chip = element("span", "stair-coin", this.has("toss", k) ? letter : "?");
      chip.title = this.has("toss", k) ? title : words.unknown;
      chip.dataset.side = this.has("toss", k) ? letter : "";
      coins.append(chip);
    });
    partOf(one, ".stair-rule").textContent = coin ? words.rule : "";
    const known = this.all.filter(([kind]) => kind === "toss").every(([, k]) => this.has("toss", k));
    coins.append(element("span", "stair-n", known ? `N = ${row.n}${row.goesOn ? " or more" : ""}` : ""));
    const [vector, arrow] = [partOf(one, "[data-part=v] span"), partOfKind(one, "[data-part=v] svg", SVGElement)];
    vector.textContent = this.has("v") ? row.v : "?";
    arrow.replaceChildren(...(row.arrow ? this.arrow(this.has("v") ? row.arrow : null) : []));
    arrow.style.display = row.arrow ? "" : "none";
    const heads = one.querySelectorAll(".stair-terms th");
    [heads[1].textContent, heads[2].textContent, heads[3].textContent] = words.heads;
    const weights = this.data.weights;
    partOf(one, ".stair-terms tbody").replaceChildren(
      ...columns.slice(0, Math.max(row.cells.length, 1)).map((column, k) => {
        const line = element("tr");
        const cell = row.cells[k];
        const seen = cell && this.has("term", k);
        line.append(
          element("th", "", String(column.k)),
          element("td", "", seen ? cell.form : ""),
          element("td", weights ? "" : "stair-off", seen ? cell.reached : ""),
          element("td", "", seen ? (weights ? cell.shown : cell.plain) : ""),
        );
        return line;
      }),
    );
    partOf(one, ".stair-sum").textContent = this.has("sum") ? (weights ? row.said : row.plainSaid) : "\u00a0";
  }

  /**
   * The probe as an arrow in the square of signs.
   * @param {Row["arrow"]} v
   */
  arrow(v) {
    const axes = [
      drawn("circle", { r: 1, fill: "none", stroke: "currentColor", "stroke-opacity": 0.25, "stroke-width": 0.03 }),
      drawn("path", {
        d: "M-1.2 0H1.2M0-1.2V1.2",
        stroke: "currentColor",
        "stroke-opacity": 0.25,
        "stroke-width": 0.03,
      }),
    ];
    if (!v) return axes;
    const size = Math.hypot(...v) || 1;
    const [x, y] = v.map((part) => part / Math.max(size, 1));
    const angle = Math.atan2(-y, x);
    /** @type {(turn: number) => string} */
    const tip = (turn) => `L${x - 0.28 * Math.cos(angle + turn)} ${-y - 0.28 * Math.sin(angle + turn)}`;
    const line = drawn("path", {
      d: `M0 0L${x} ${-y}${tip(0.45)}M${x} ${-y}${tip(-0.45)}`, stroke: BLUE, "stroke-width": 0.11, fill: "none",
      "stroke-linecap": "round",
    });
    return [...axes, line];
  }

  drawRows() {
    const { rows, columns, words, weights } = this.data;
    const part = partOf(this.root, ".stair-rows");
    partOf(part, "h3").textContent = this.data.title;
    partOf(part, ".stair-why").textContent = this.data.why;
    partOf(part, ".stair-key").textContent = words.key;
    const head = element("tr");
    head.append(element("th", "", words.draw), ...columns.map((column) => {
      const cell = element("th", "", `k = ${column.k}`);
      cell.append(element("small", "", weights ? column.pays : words.off));
      return cell;
    }));
    const body = rows.map((row, i) => {
      const line = element("tr");
      const isNewest = i === rows.length - 1;
      line.append(element("th", "", row.label));
      columns.forEach((_, k) => {
        const cell = row.cells[k];
        const seen = cell && (!isNewest || this.has("term", k));
        const made = element("td", seen ? "" : "stair-empty", seen ? (weights ? cell.shown : cell.plain) : "");
        if (row.goesOn && k === row.cells.length) made.textContent = "…";
        line.append(made);
      });
      return line;
    });
    const whole = !rows.length || this.at >= this.all.length;
    /** @type {[string, (column: Column) => string][]} */
    const means = [
      [words.average, (column) => whole ? (weights ? column.average : column.plain) : ""],
      [words.term, (column) => column.term],
    ];
    const foot = means.map(([name, text], i) => {
      const line = element("tr", i ? "stair-term" : "stair-average");
      line.append(element("th", "", name), ...columns.map((column) => {
        const cell = element("td", "", text(column));
        if (!i && whole) cell.dataset.same = String(weights ? column.isSame : column.isSamePlain);
        return cell;
      }));
      return line;
    });
    const table = partOf(part, "table");
    const [thead, tbody, tfoot] = ["thead", "tbody", "tfoot"].map((tag) => element(tag));
    thead.append(head);
    tbody.append(...body);
    tfoot.append(...foot);
    table.replaceChildren(thead, tbody, tfoot);
    this.drawDots(partOfKind(part, "svg", SVGElement), whole);
  }

  /**
   * The sums as dots in the lines of their rows, the truth and the cut series as lines, the running mean below.
   * @param {SVGElement} svg
   * @param {boolean} whole
   */
  drawDots(svg, whole) {
    const { rows, truth, cut, mean, weights, axis, bars, alt, words } = this.data;
    const grid = partOf(this.root, ".stair-grid"), left = grid.clientWidth - partOf(grid, "table").scrollWidth;
    const width = Math.min(Math.max(left, DOTS[0]), DOTS[1]), top = 44, height = top + (rows.length + FOOT) * ROW;
    /** @type {(value: number) => number} */
    const x = (value) => 8 + ((value - axis[0]) / (axis[1] - axis[0])) * (width - 16);
    /** @type {(value: number) => boolean} */
    const inside = (value) => value >= axis[0] && value <= axis[1];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("width", String(width));
    svg.setAttribute("height", String(height));
    svg.setAttribute("aria-label", alt);
    const end = top + rows.length * ROW;
    const made = [
      drawn(
        "text",
        { x: width / 2, y: 14, "text-anchor": "middle", class: "stair-axis" },
        words.sums[width < WIDE ? 1 : 0],
      ),
    ];
    for (const value of axis) {
      made.push(drawn("text", {
        x: x(value), y: 32, "text-anchor": value === axis[0] ? "start" : "end", class: "stair-tick",
      }, shown(value)));
    }
    if (bars) {
      const most = Math.max(...bars.shares);
      bars.shares.forEach((share, k) => made.push(drawn("rect", {
        x: x(bars.edges[k]), width: Math.max(x(bars.edges[k + 1]) - x(bars.edges[k]) - 0.5, 0.5),
        y: end - (share / most) * (end - top), height: (share / most) * (end - top), fill: BLUE, "fill-opacity": 0.28,
      })));
    }
    /** @type {(value: number, colour: string, dash: string) => void} */
    const line = (value, colour, dash) =>
      made.push(
        drawn("line", {
          x1: x(value),
          x2: x(value),
          y1: top - 6,
          y2: height - ROW,
          stroke: colour,
          "stroke-width": 2,
          "stroke-dasharray": dash,
        }),
      );
    line(truth, GREEN, "6 4");
    if (inside(cut.value)) line(cut.value, VERMILION, "8 3 2 3");
    rows.forEach((row, i) => {
      const value = weights ? row.sum : row.plainSum;
      const isNewest = i === rows.length - 1;
      if (row.goesOn || (isNewest && !whole && !this.has("sum"))) return; // it has no sum, or not yet
      const y = top + (i + 0.5) * ROW;
      if (inside(value))
        made.push(drawn("circle", { cx: x(value), cy: y, r: 4.5, fill: BLUE, class: isNewest ? "stair-fresh" : "" }));
      else
        made.push(
          drawn(
            "text",
            {
              x: value < axis[0] ? 2 : width - 2,
              y: y + 4,
              "text-anchor": value < axis[0] ? "start" : "end",
              class: "stair-tick",
            },
            value < axis[0] ? "◂" : "▸",
          ),
        );
    });
    if (mean !== null && whole && inside(mean)) {
      const y = end + 0.7 * ROW;
      made.push(
        drawn("path", { d: `M${x(mean)} ${y - 8}l7 8l-7 8l-7 -8z`, fill: BLUE, stroke: "var(--st-background-color)" }),
      );
      made.push(
        drawn(
          "text",
          { x: width / 2, y: end + 2.4 * ROW, "text-anchor": "middle", class: "stair-tick" },
          this.data.meanSaid,
        ),
      );
    }
    svg.replaceChildren(...made);
  }
}

/** @type {(call: Call<Data>) => () => void} */
export default function ({ data, parentElement }) {
  const root = partOf(parentElement, ".stair");
  const view = views.get(root) ?? new Staircase(root, data);
  views.set(root, view);
  view.show(data);
  return () => view.stop();
}
