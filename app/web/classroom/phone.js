// The page for phones: the code, one question, draws and coins. It needs no flow.

import { ask, bars, DATA, element, keep, kept, language, number, Refusal, say, speak, watch } from "./common.js";

/** @import { Child, PhoneState, Question, Truth } from "./types.js" */

const SECONDS = 1.5;
const page = document.getElementById("page") ?? document.body;
let code = DATA.code.toUpperCase(), drawn = "", heads = 0, looks = false;
/** @type {PhoneState | null} */
let state = null;

/** Draw anew only where something else is told, so that what is typed and pressed stays. */
function draw() {
  const now = JSON.stringify([state, heads]);
  if (!state || now === drawn) return;
  drawn = now;
  speak(state.language);
  page.replaceChildren(
    element(
      "header",
      {},
      element("strong", {}, state.lesson),
      element("span", {}, say("in_room", { code, people: state.members, seat: state.seat })),
    ),
    ...called(state),
    ...question(state),
    ...draws(state),
    ...coins(state),
    element("p", { class: "quiet" }, element("a", { href: lessonLink(state) }, say("open_lesson"))),
  );
}

/** @type {(state: PhoneState, step?: string) => string} */
function lessonLink(state, step = "") {
  const asked = { lesson: state.id, ...(step ? { step } : {}), ...(language === "en" ? {} : { lang: language }) };
  return `${DATA.root}learn?${new URLSearchParams(asked)}`;
}

/** @type {(state: PhoneState) => HTMLElement[]} */
function called(state) {
  const step = state.steps.find(one => one.id === state.called);
  if (!state.calls || !step) return [];
  return [
    element(
      "p",
      { class: "called" },
      `${say("called")} `,
      element("a", { href: lessonLink(state, step.id), html: step.title }),
    ),
  ];
}

/** @type {(state: PhoneState) => HTMLElement[]} */
function question(state) {
  const asked = state.question;
  if (!asked) return [element("p", { class: "waits" }, say("no_question"))];
  /** @type {HTMLElement[]} */
  const parts = [element("div", { class: "question", html: asked.text })];
  const open = asked.stage === "voting" && asked.mine === null;
  if (open) parts.push(asked.options.length ? choices(asked) : numberField(asked));
  else if (asked.stage === "voting") parts.push(
    element("p", { class: "given" }, say("answered_yours"), " ", mine(asked)),
    element("p", { class: "quiet" }, say("look_at_wall")),
  );
  else parts.push(
    asked.options.length
      ? bars(asked, asked.mine)
      : element(
          "p",
          { class: "given" },
          asked.mine === null ? say("not_answered") : say("answered_yours"),
          " ",
          mine(asked),
        ),
  );
  if (asked.stage === "discussed") parts.push(element("p", { class: "called" }, say("discuss_now")));
  if (asked.truth) parts.push(truth(asked, asked.truth));
  return [element("section", {}, ...parts)];
}

/** @type {(asked: Question) => Child} */
function mine(asked) {
  if (asked.mine === null) return "";
  const option = asked.options.find(([key]) => key === asked.mine);
  return element("strong", option ? { html: option[1] } : { html: `${number(Number(asked.mine))} ${asked.unit}` });
}

/**
 * The truth, and the reason for what this phone has answered.
 * @type {(asked: Question, truth: Truth) => HTMLElement}
 */
function truth(asked, { value, right, why }) {
  const told = `${say("truth")}: <strong>${number(Number(value))} ${asked.unit}</strong>`;
  return element(
    "div",
    { class: "truth" },
    asked.options.length ? "" : element("p", { class: "given", html: told }),
    right === null ? "" : element("p", {}, element("strong", {}, say(right ? "you_right" : "you_wrong"))),
    element("div", { html: why }),
  );
}

/** @type {(asked: Question) => HTMLElement} */
function choices(asked) {
  return element("div", { class: "choices" }, ...asked.options.map(([key, text]) =>
    element("button", { type: "button", html: text, onclick: () => act({ do: "vote", answer: key }) })));
}

/** @type {(asked: Question) => HTMLElement} */
function numberField(asked) {
  const ends = { low: number(asked.low), high: number(asked.high) };
  const range =
    asked.low === null
      ? asked.high === null
        ? ""
        : say("at_most", ends)
      : say(asked.high === null ? "at_least" : "range", ends);
  const field = element("input", {
    type: "text",
    inputmode: "decimal",
    id: "answer",
    autocomplete: "off",
    maxlength: "30",
  });
  /** @type {(event: Event) => void} */
  const send = event => {
    event.preventDefault();
    const value = Number(field.value.trim().replace(",", ".").replace("−", "-"));
    if (field.value.trim() === "" || !Number.isFinite(value)) return tell(say("no_number"));
    act({ do: "vote", answer: value });
  };
  return element("form", { class: "number", onsubmit: send },
    element("label", { for: "answer", html: [say("your_number"), asked.unit, range].filter(Boolean).join(" ") }), field,
    element("button", { type: "submit" }, say("commit")));
}

/** @type {(state: PhoneState) => HTMLElement[]} */
function draws(state) {
  if (!state.draws) return [];
  const found = state.draws.mine;
  const told =
    found && found.n > 1
      ? say("your_draws", { n: found.n, mean: number(found.mean), error: number(found.error, 2) })
      : say("no_draws");
  return [element("section", {}, element("h2", {}, say("draw_title")), element("p", {}, told),
    element("div", { class: "choices row" }, ...[10, 100, 1000].map(n =>
      element("button", { type: "button", onclick: () => act({ do: "draw", n }) }, say("draw_more", { n })))))];
}

/** @type {(state: PhoneState) => HTMLElement[]} */
function coins(state) {
  if (!state.draws) return [];
  const list = state.coins.length
    ? say("coins_so_far", { rows: state.coins.length, last: state.coins[state.coins.length - 1] })
    : say("coins_about");
  return [element("section", {}, element("h2", {}, say("coins_title")), element("p", {}, list),
    element("p", { class: "quiet" }, heads ? say("heads_so_far", { n: heads }) : ""),
    element("div", { class: "choices row" },
      element("button", { type: "button", onclick: () => { heads = Math.min(heads + 1, 59); draw(); } }, say("heads")),
      element("button", { type: "button", onclick: async () => {
        const throws = heads + 1;
        if (await act({ do: "coins", throws })) {
          heads = 0;
          draw();
        }
      } }, say("tails"))))];
}

/** @type {(text: string) => void} */
function tell(text) {
  document.querySelector(".told")?.remove();
  if (text) page.prepend(element("p", { class: "told", role: "alert" }, text));
}

/** @type {(body: Record<string, unknown>) => Promise<boolean>} */
async function act(body) {
  try {
    /** @type {PhoneState} */
    const told = await ask(`rooms/${code}`, { body });
    state = told;
    code = told.code;
    if (kept.at !== code) { kept.at = code; keep(); }  // lessons that this browser opens are in the room, too
    tell("");
    draw();
    return true;
  } catch (error) {
    tell(error instanceof Refusal ? error.message : say("no_network"));
    return false;
  }
}

async function poll() {
  try {
    state = await ask(`rooms/${code}`);
    if (document.querySelector(".told.lost")) tell("");
    draw();
  } catch (error) {
    if (error instanceof Refusal) { if (!await act({ do: "join" })) joining(); }
    else if (!document.querySelector(".told")) {
      tell(say("no_network"));
      document.querySelector(".told")?.classList.add("lost");
    }
  }
}

function joining() {
  delete kept.at;
  keep();
  const told = document.querySelector(".told")?.textContent;
  drawn = "";
  const field = element("input", {
    id: "code",
    autocomplete: "off",
    autocapitalize: "characters",
    spellcheck: "false",
    maxlength: "12",
    value: code,
  });
  /** @type {(event: Event) => Promise<void>} */
  const join = async event => {
    event.preventDefault();
    code = field.value.replace(/\s/g, "").toUpperCase();
    if (await act({ do: "join" })) begin();
  };
  page.replaceChildren(
    element(
      "form",
      { class: "join", onsubmit: join },
      element("h1", {}, say("join")),
      element("label", { for: "code" }, say("code_on_wall")),
      field,
      element("button", { type: "submit" }, say("enter")),
    ),
  );
  if (told) tell(told);
  field.focus();
}

function begin() {
  history.replaceState(null, "", `${DATA.root}r/${code}`);
  if (looks) return;
  looks = true;
  watch(async () => { if (state) await poll(); }, 1000 * SECONDS);
}

(async () => {
  if (code && await act({ do: "join" })) begin();
  else joining();
})();
