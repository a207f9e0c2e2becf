// The menu *Take it with you*: a button, and what can be had of a figure or a run. Pictures and their numbers are made
// here, of what is seen; other files are asked for at the server, which answers with the component's next message.
//
// A message is {files: [{name, title, group}], of, chart, answer: {n, file, mime, base64, problem}}: `of` is the name
// of a figure that was offered, `chart` class and title of a chart of Vega or of rows of dots, `answer` that to the
// n-th request of this menu.

import { paperTheme } from "../canvas/page.js";
import { applyStyle, styleAt } from "../style.js";
import { figureOfChart } from "./chart.js";
import { figureOfDots } from "./dots.js";
import { recorded } from "./film.js";
import { pngOf, svgOf } from "./sheet.js";

/** @import { Take, TakeAnswer } from "../types.js" */
/** @import { Figure, Film, Table, Theme } from "../canvas/types.js" */

/**
 * A menu and what it has been told. `asked` is the number of its newest request, `waits` that of the one whose answer
 * is to come.
 * @typedef {{ host: Host, button: HTMLElement, list: HTMLElement, told: HTMLElement, files: Take["files"],
 *   of: string | null, chart: [string, string] | null, figure: (() => Figure | null) | null,
 *   ask: ((wanted: [number, string]) => void) | null, asked: number, waits: number | null }} Menu
 */

/** @typedef {HTMLElement & { takeMenu?: Menu }} Host */

/** @typedef {{ title: string, group: string, save: () => void | Promise<void> }} Item */

const STYLE = await styleAt(new URL("take.css", import.meta.url));
const TITLE = "Take it with you";
const ICON = '<svg viewBox="0 0 20 20" aria-hidden="true"><path d="M10 3v9m-4-4 4 4 4-4M3.5 13v3.5h13V13"/></svg>';
const GROUPS = ["Picture", "Numbers", "Flow", "Comparison", "Program"];
const KEPT_MS = 60_000; // a browser reads what it saves in this time
const NEAR_MENU = 4; // pixels between button and menu
const OF_RUN = "live"; // the figure whose menu stands among the buttons of a run
const MOST_NAME = 80; // letters of a file's name
/** @type {Map<string, () => Figure | null>} */
const offers = new Map(); // figures by name, of menus that stand elsewhere
let menus = 0;
/** @type {{ list: HTMLElement, button: HTMLElement, at: number[] } | null} */
let opened = null; // of the menu that is open: its list and button, and where that stood

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [values]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function made(tag, className, values = {}) {
  return Object.assign(document.createElement(tag), { className, ...values });
}

/**
 * Let the browser save a file.
 * @type {(name: string, blob: Blob) => void}
 */
function save(name, blob) {
  const link = made("a", "", { href: URL.createObjectURL(blob), download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}

/**
 * A name for a file: letters, digits and hyphens; a long one ends with a whole word.
 * @type {(text: string) => string}
 */
function fileName(text) {
  const name = text.normalize("NFKD").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "");
  const cut = name.length > MOST_NAME ? name.slice(0, MOST_NAME + 1).replace(/-[^-]*$/, "").slice(0, MOST_NAME) : name;
  return cut || "figure";
}

/**
 * The name of the file of a table: that of the figure, and its own where there are several.
 * @type {(figure: Figure, table: Table) => string}
 */
function tableName({ name, tables }, { title }) {
  if (tables.length < 2 || !title) return fileName(name);
  return fileName(title.includes(name) ? title : `${name} ${title}`);
}

/**
 * The picture of a chart that stands on the page, or null.
 * @type {(host: Element, chart: [string, string]) => Figure | null}
 */
const charted = (host, [name, title]) => figureOfChart(host, name, title) ?? figureOfDots(name, title);

/**
 * What a menu offers now, [{title, group, save}].
 * @type {(menu: Menu) => Item[]}
 */
function offered(menu) {
  const { host, of, chart } = menu;
  const figure = menu.figure?.() ?? (of && offers.get(of)?.()) ?? (chart && charted(host, chart));
  /** @type {Item[]} */
  const items = [];
  if (figure) {
    const name = fileName(figure.name);
    const theme = () => paperTheme(host);
    items.push(
      { title: "PNG (2 ×)", group: "Picture", save: async () => save(`${name}.png`, await pngOf(figure, theme())) },
      { title: "SVG (vector)", group: "Picture", save: () => save(`${name}.svg`, svgOf(figure, theme())) },
    );
    const { film } = figure;
    if (film) {
      items.push({
        title: "Film of the training (WebM)",
        group: "Picture",
        save: () => record(menu, name, film, theme()),
      });
    }
    for (const table of figure.tables) {
      const title = table.title ? `CSV: ${table.title}` : "CSV";
      const file = tableName(figure, table);
      items.push({
        title,
        group: "Numbers",
        save: () => save(`${file}.csv`, new Blob([table.text()], { type: "text/csv" })),
      });
    }
  }
  for (const { name, title, group } of menu.files) items.push({ title, group, save: () => request(menu, name) });
  return items;
}

/**
 * It is recorded as it is shown, so that the menu is busy for as long as it plays.
 * @type {(menu: Menu, name: string, film: Film, theme: Theme) => Promise<void>}
 */
async function record(menu, name, film, theme) {
  menu.button.setAttribute("aria-busy", "true");
  say(menu, "The film is being recorded.");
  try {
    save(`${name}.webm`, await recorded(film, theme));
    say(menu, `${name}.webm is saved.`);
  } finally {
    menu.button.removeAttribute("aria-busy");
  }
}

/**
 * Ask the server for a file. The number lets an answer that comes twice be taken once.
 * @type {(menu: Menu, name: string) => void}
 */
function request(menu, name) {
  menu.asked = Math.max(menu.asked + 1, Date.now());
  menu.waits = menu.asked;
  menu.button.setAttribute("aria-busy", "true");
  say(menu, "The file is being made.");
  menu.ask?.([menu.asked, name]);
}

/** @type {(menu: Menu, answer: TakeAnswer | null | undefined) => void} */
function take(menu, answer) {
  if (!answer || answer.n !== menu.waits) return;
  menu.waits = null;
  menu.button.removeAttribute("aria-busy");
  const { problem, file = "", mime, base64 = "" } = answer;
  if (problem) {
    say(menu, problem, true);
    return;
  }
  const bytes = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
  save(file, new Blob([bytes], { type: mime }));
  say(menu, `${file} is saved.`);
}

/**
 * What came of it, for those who hear the page; a problem is seen too.
 * @type {(menu: Menu, text: string, isProblem?: boolean) => void}
 */
function say(menu, text, isProblem = false) {
  menu.told.textContent = text;
  menu.told.classList.toggle("take-problem", isProblem);
}

/** @type {(menu: Menu, item: Item) => Promise<void>} */
async function choose(menu, item) {
  menu.list.hidePopover();
  menu.button.focus({ preventScroll: true });
  try {
    say(menu, "");
    await item.save();
  } catch (error) {
    say(menu, `This could not be saved: ${error instanceof Error ? error.message : error}`, true);
  }
}

/** @type {(menu: Menu) => void} */
function fill(menu) {
  const items = offered(menu);
  const groups = GROUPS.filter((name) => items.some(({ group }) => group === name));
  menu.list.replaceChildren(...groups.map((name) => {
    const group = made("div", "take-group");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", name);
    const head = made("span", "take-head", { textContent: name });
    head.setAttribute("aria-hidden", "true");
    group.append(head, ...items.filter(({ group: own }) => own === name).map((item) => {
      const entry = made("button", "take-item", { type: "button", textContent: item.title, tabIndex: -1 });
      entry.setAttribute("role", "menuitem");
      entry.addEventListener("click", () => choose(menu, item));
      return entry;
    }));
    return group;
  }));
}

/**
 * Below the button or, where there is more room, above it; within the window.
 * @type {(menu: Menu) => void}
 */
function place({ button, list }) {
  const { left, right, top, bottom } = button.getBoundingClientRect();
  const room = [window.innerHeight - bottom, top].map((pixels) => pixels - 2 * NEAR_MENU);
  const isBelow = list.scrollHeight <= room[0] || room[0] >= room[1];
  list.style.maxHeight = `${Math.max(120, room[isBelow ? 0 : 1])}px`;
  const { width, height } = list.getBoundingClientRect();
  const across = right - width >= NEAR_MENU ? right - width : Math.min(left, window.innerWidth - width - NEAR_MENU);
  Object.assign(list.style, {
    left: `${Math.max(NEAR_MENU, across)}px`, top: `${isBelow ? bottom + NEAR_MENU : top - height - NEAR_MENU}px`,
  });
}

/** @type {(button: Element) => number[]} */
function placeOf(button) {
  const { left, top } = button.getBoundingClientRect();
  return [left, top];
}

/** @type {(menu: Menu, event: KeyboardEvent) => void} */
function onMenuKey(menu, event) {
  /** @type {NodeListOf<HTMLElement>} */
  const listed = menu.list.querySelectorAll("[role=menuitem]");
  const entries = [...listed];
  const at = entries.findIndex((one) => one.matches(":focus"));
  /** @type {Record<string, number>} */
  const places = { ArrowDown: at + 1, ArrowUp: at < 0 ? -1 : at - 1, Home: 0, End: -1 };
  const to = places[event.key];
  if (event.key === "Tab") menu.list.hidePopover();
  event.stopPropagation(); // the page has keys of its own
  if (to === undefined || !entries.length) return;
  event.preventDefault();
  entries.at(to % entries.length)?.focus();
}

/** @type {(host: Host) => Menu} */
function mountMenu(host) {
  const id = `take-menu-${++menus}`;
  const [button, list] = [
    made("button", "take-open", { type: "button", title: TITLE }),
    made("div", "take-menu", { id }),
  ];
  button.innerHTML = `${ICON}<span>${TITLE}</span>`;
  button.setAttribute("aria-haspopup", "menu");
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-label", TITLE);
  button.setAttribute("popovertarget", id);
  list.setAttribute("popover", "");
  list.setAttribute("role", "menu");
  list.setAttribute("aria-label", TITLE);
  const told = made("span", "take-told");
  told.setAttribute("role", "status");
  host.classList.add("take");
  host.replaceChildren(button, list, told);
  /** @type {Menu} */
  const menu = {
    host,
    button,
    list,
    told,
    files: [],
    of: null,
    chart: null,
    figure: null,
    ask: null,
    asked: 0,
    waits: null,
  };
  list.addEventListener("beforetoggle", ({ newState }) => newState === "open" && fill(menu));
  list.addEventListener("toggle", ({ newState }) => {
    button.setAttribute("aria-expanded", String(newState === "open"));
    if (opened?.list === list) opened = null;
    if (newState !== "open") return;
    place(menu);
    opened = { list, button, at: placeOf(button) };
    /** @type {HTMLElement | null} */
    const first = list.querySelector("[role=menuitem]");
    first?.focus({ preventScroll: true });
  });
  list.addEventListener("keydown", (event) => onMenuKey(menu, event));
  button.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    list.showPopover();
  });
  return menu;
}

// What scrolls away under an open menu closes it. Browsers also scroll a page that grows above what is seen, so that it
// stays where it is: on a screen whose flow trains, every few seconds.
addEventListener("scroll", ({ target }) => {
  if (!opened || target === opened.list) return;
  const { list, button, at } = opened;
  const moved = placeOf(button).map((value, k) => Math.abs(value - at[k]));
  if (Math.max(...moved) > NEAR_MENU) list.hidePopover();
}, { capture: true, passive: true });

/**
 * A menu in an element of its own: `figure` returns what it offers as a picture, and `ask` tells the server.
 * @type {(of: { host: Host, data: Take | null | undefined, ask: Menu["ask"], figure?: Menu["figure"] }) => void}
 */
export function menuIn({ host, data, ask, figure = null }) {
  applyStyle(host, STYLE);
  const menu = (host.takeMenu ??= mountMenu(host));
  Object.assign(menu, { files: data?.files ?? [], of: data?.of ?? null, chart: data?.chart ?? null, figure, ask });
  menu.host.toggleAttribute("data-of-run", menu.of === OF_RUN);
  take(menu, data?.answer);
}

/**
 * Offer a figure to menus that stand elsewhere.
 * @type {(of: { name: string, figure: () => Figure | null }) => void}
 */
export function offer({ name, figure }) {
  offers.set(name, figure);
}
