// What both pages of a room share: who this browser is, what is sent, words, and elements.

import { ROOM } from "../browser/names.js";

/** @import { Answer, Attribute, Child, Kept, PageData, Question } from "./types.js" */

/** @type {PageData} */
export const DATA = JSON.parse(document.getElementById("data")?.textContent ?? "");

/**
 * What this browser keeps: {token, secrets: {CODE: secret}, key}. A browser that keeps nothing is somebody else after
 * a reload.
 * @type {Kept}
 */
export const kept = (() => {
  let found = {};
  try { found = JSON.parse(localStorage.getItem(ROOM) || "{}") || {}; } catch { /* somebody else's, or forbidden */ }
  if (typeof found.token !== "string" || found.token.length < 16) found.token = newToken();
  if (typeof found.secrets !== "object" || !found.secrets) found.secrets = {};
  return found;
})();

function newToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");
}

export function keep() {
  try { localStorage.setItem(ROOM, JSON.stringify(kept)); } catch { /* forbidden here */ }
}
keep();

export let language = Object.hasOwn(DATA.words, navigator.language.slice(0, 2)) ? navigator.language.slice(0, 2) : "en";

/** @type {(of: string) => void} */
export function speak(of) {
  if (Object.hasOwn(DATA.words, of)) language = of;
  document.documentElement.lang = language;
}

/**
 * A text of the room's words, with the values of its {names}.
 * @type {(key: string, values?: Record<string, string | number | null>) => string}
 */
export function say(key, values = {}) {
  return DATA.words[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/**
 * A number with so many digits, as the language writes it.
 * @type {(value: number | null | undefined, digits?: number) => string}
 */
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  const text = Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(digits)));
  return text.replace(".", DATA.words[language].decimal).replace("-", "−");
}

/**
 * An element with attributes and children; texts are texts. `html` is of the server's own making.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, Attribute>} [attributes]
 * @param {...Child} children
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (name === "html") made.innerHTML = String(value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.flatMap((child) => child || []));
  return made;
}

export class Refusal extends Error {
  /**
   * @param {string} text
   * @param {string} key
   */
  constructor(text, key = "") {
    super(text);
    this.key = key;
  }
}

/**
 * Values as the language writes them.
 * @type {(values: Record<string, string | number | null>) => Record<string, string | number | null>}
 */
const asShown = (values) =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, typeof value === "number" ? number(value) : value]),
  );

/**
 * @template Told
 * @param {string} path
 * @param {{ body?: object | null, secret?: string, key?: string }} [request]
 * @returns {Promise<Told>}
 */
export async function ask(path, { body = null, secret = "", key = "" } = {}) {
  /** @type {Record<string, string>} */
  const headers = secret ? { "x-room-secret": secret } : { "x-room-token": kept.token };
  if (key) headers["x-room-key"] = key;
  if (body) headers["content-type"] = "application/json";
  const answer = await fetch(DATA.root + path, {
    method: body ? "POST" : "GET",
    headers,
    body: body && JSON.stringify(body),
    cache: "no-store",
  });
  if (answer.headers.get("content-type")?.startsWith("text/")) return /** @type {Told} */ (await answer.text());
  const told = await answer.json();
  if (!answer.ok) throw new Refusal(told.say ? say(told.say, asShown(told.values)) : told.error, told.say);
  return told;
}

/**
 * Call `look` now and every so many milliseconds while the page is seen, one at a time; at once when it is seen
 * again.
 * @type {(look: () => Promise<void>, milliseconds: number) => () => Promise<void>}
 */
export function watch(look, milliseconds) {
  let busy = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const run = async () => {
    clearTimeout(timer);
    if (!busy && !document.hidden) {
      busy = true;
      try { await look(); } finally { busy = false; }
    }
    if (!document.hidden) timer = setTimeout(run, milliseconds * (0.9 + 0.2 * Math.random()));
  };
  document.addEventListener("visibilitychange", run);
  window.addEventListener("online", run);
  run();
  return run;
}

/**
 * Bars of a choice, for one round or two side by side: text, count, and a mark at the truth.
 * @type {(question: Question, mine?: Answer | null) => HTMLElement}
 */
export function bars(question, mine = null) {
  const rounds = question.rounds.map(round => new Map(round));
  const most = Math.max(1, ...rounds.flatMap(round => [...round.values()]));
  const heads =
    rounds.length > 1
      ? element(
          "div",
          { class: "heads" },
          element("span"),
          ...rounds.map((_, index) => element("span", {}, say("vote_number", { number: index + 1 }))),
        )
      : "";
  return element(
    "div",
    { class: "bars", style: `--rounds:${rounds.length}` },
    heads,
    ...question.options.map(([key, text]) => {
      const right = question.truth !== null && question.truth.value === key;
      return element(
        "div",
        { class: right ? "bar right" : "bar" },
        element(
          "div",
          { class: "option" },
          element("span", { html: text }),
          right ? element("strong", {}, ` ✓ ${say("truth")}`) : "",
          key === mine ? element("em", {}, ` ${say("you")}`) : "",
        ),
        ...rounds.map((round, index) => {
          const people = round.get(key) || 0;
          return element(
            "div",
            { class: "row" },
            rounds.length > 1 ? element("span", { class: "round" }, say("vote_number", { number: index + 1 })) : "",
            element(
              "span",
              { class: "track" },
              element("span", { class: `fill round-${index + 1}`, style: `width:${(100 * people) / most}%` }),
            ),
            element("span", { class: "people" }, String(people)),
          );
        }),
      );
    }),
  );
}

/**
 * The names in an object that has a fixed set of them.
 * @template {object} Named
 * @param {Named} of
 */
export const namesIn = (of) => /** @type {Extract<keyof Named, string>[]} */ (Object.keys(of));
