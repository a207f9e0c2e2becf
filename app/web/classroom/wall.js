// The teacher's wall: readable from the back row. What it shows changes only by its own buttons.

import { closing, guesses, histogram, intervals, shared } from "./charts.js";
import { ask, bars, DATA, element, keep, kept, namesIn, number, Refusal, say, speak, watch } from "./common.js";

/** @import { Child, Draws, Interval, Question, Right, Size, WallState } from "./types.js" */

/**
 * What a view shows: its parts and buttons, the picture that takes the rest of its place, and the text beside the
 * invitation where nothing is asked.
 * @typedef {{ parts: Child[], controls: HTMLElement[], text: string, picture?: (size: Size) => Child }} Shown
 */

const page = document.getElementById("page") ?? document.body;
const NEW = "new";  // in the place of a code: a room is opened
const secretInLink = new URLSearchParams(location.hash.slice(1)).get("teacher");
if (secretInLink) {
  kept.secrets[DATA.code] = secretInLink;
  keep();
  history.replaceState(null, "", location.pathname);  // nobody reads it off the projector
}
const secret = kept.secrets[DATA.code] || "";
let drawn = "", lost = false, joining = false;
/** @type {WallState | null} */
let state = null;
/** @type {keyof typeof VIEW} */
let view = "question";
/** @type {keyof typeof CHARTS} */
let chart = "mean";

function draw() {
  const now = JSON.stringify([state, view, chart, lost, joining, innerWidth, innerHeight]);
  if (!state || now === drawn) return;
  drawn = now;
  speak(state.language);
  const focused = document.activeElement?.id, about = VIEW[view](state);
  const inviting = joining || (view === "question" && !state.question);
  page.querySelector(":scope > .waits")?.remove();
  put(head(state));
  put(inviting ? invitation(state, about.text) : element("section", { class: `${view} large` }, ...about.parts));
  put(
    foot(about.controls),
    JSON.stringify([
      view,
      state.language,
      state.question?.id,
      state.question?.stage,
      state.draws?.step,
      state.locked,
      state.seats,
    ]),
  );
  fit();
  plot(about.picture);
  if (focused) document.getElementById(focused)?.focus();
}

/**
 * Put an element in the place of that of its kind, unless this was made with the same `key`: a list that the teacher
 * has just opened would close when a vote comes in.
 * @type {(made: HTMLElement, key?: string) => void}
 */
function put(made, key = "") {
  /** @type {HTMLElement | null} */
  const old = page.querySelector(`:scope > ${made.localName}`);
  if (key && old?.dataset.key === key) return;
  if (key) made.dataset.key = key;
  if (old) old.replaceWith(made);
  else page.append(made);
}

/** Large texts where there is room for them: a question with nothing beside it. */
function fit() {
  const section = page.querySelector("section");
  if (section && section.scrollHeight > section.clientHeight) section.classList.remove("large");
}

/**
 * The picture of a view, as large as the place that is left for it.
 * @type {(make?: (size: Size) => Child) => void}
 */
function plot(make) {
  const place = page.querySelector(".plot");
  if (!place || !make) return;
  const { width, height } = place.getBoundingClientRect();
  place.append(make({ wide: Math.floor(width), tall: Math.max(LEAST_TALL, Math.floor(height)) }) ?? "");
}

const LEAST_TALL = 160;  // pixels of a picture
window.addEventListener("resize", () => state && draw());

/** @type {(id: string, key: string, pressed: boolean, choose: () => void) => HTMLElement} */
function tab(id, key, pressed, choose) {
  return element("button", { type: "button", id, "aria-pressed": String(pressed), onclick: () => {
    choose();
    draw();
  } }, say(key));
}

/**
 * The address of the room. Where only this machine finds it, it opens as a student's page: a rehearsal.
 * @type {(tag: "div" | "p") => HTMLElement}
 */
function address(tag) {
  const text = DATA.link.replace(/^https?:\/\//, "");
  return element(
    tag,
    { class: "address" },
    DATA.unreached ? element("a", { href: DATA.link, target: "_blank" }, text) : text,
  );
}

/** @type {(state: WallState) => HTMLElement} */
function head(state) {
  const qr = DATA.unreached
    ? ""
    : element(
        "button",
        {
          type: "button",
          id: "join-large",
          "aria-pressed": String(joining),
          onclick: () => {
            joining = !joining;
            draw();
          },
        },
        element("img", { src: DATA.qr, alt: say("qr_alt", { link: DATA.link }) }),
      );
  return element(
    "header",
    {},
    element(
      "div",
      { class: "join-here" },
      qr,
      element("div", {}, address("div"), element("div", { class: "code" }, DATA.code)),
    ),
    element(
      "nav",
      {},
      ...namesIn(VIEW).map((name) =>
        tab(`view-${name}`, `view_${name}`, view === name, () => {
          view = name;
          joining = false;
        }),
      ),
    ),
    element("div", { class: "count" }, say("people_here", { people: state.members })),
    lost ? element("div", { class: "told", role: "alert" }, say("no_network")) : "",
  );
}

/**
 * How to come in, as large as it may be, for as long as nothing is asked.
 * @type {(state: WallState, text: string) => HTMLElement}
 */
function invitation(state, text) {
  return element(
    "section",
    { class: "invitation" },
    DATA.unreached ? "" : element("img", { src: DATA.qr, alt: say("qr_alt", { link: DATA.link }) }),
    element(
      "div",
      {},
      element("h1", {}, state.lesson),
      address("p"),
      element("p", { class: "code" }, DATA.code),
      DATA.unreached
        ? element("p", { class: "rehearsal" }, `${say("rehearsal")} ${say(`unreached_${DATA.unreached}`)}`)
        : "",
      element("p", {}, text),
    ),
  );
}

/** @type {(state: WallState) => Shown} */
function questionView(state) {
  const asked = state.question;
  /** @type {HTMLSelectElement} */
  const choose = element(
    "select",
    {
      id: "choose",
      "aria-label": say("choose_question"),
      onchange: () => choose.value && act({ do: "ask", question: choose.value }),
    },
    element("option", { value: "" }, say("choose_question")),
    ...state.questions.map((one, index) =>
      element("option", {
        value: one.id,
        selected: asked?.id === one.id,
        html: `${index + 1}. ${one.text}${one.again ? ` ${say("asked_again")}` : ""}`,
      }),
    ),
  );
  if (!asked) return { parts: [], controls: [choose], text: say("choose_first") };
  const shown = asked.rounds.length > 0;
  const offered = {
    voting: [["show", "show"], ["reveal", "reveal"]],
    shown: [["discuss", "discuss"], ["again", "again"], ["reveal", "reveal"]],
    discussed: [["again", "again"], ["reveal", "reveal"]],
    revealed: [],
  }[asked.stage];
  const buttons = offered.filter(([key]) => !(asked.told_later && key === "reveal"));
  if (asked.stage !== "revealed") buttons.push(["reset", "reset"]);
  const told = [
    say("answered_of", { answered: state.answered, people: state.members }),
    asked.round > 1 ? say("vote_number", { number: asked.round }) : "",
    asked.stage === "voting" ? say("hidden") : "",
    asked.stage === "discussed" ? say("discuss_now") : "",
    asked.told_later ? say("told_later") : "",
  ];
  const results = asked.options.length
    ? shown
      ? bars(asked)
      : element("ul", { class: "options" }, ...asked.options.map(([, text]) => element("li", { html: text })))
    : shown
      ? element("div", { class: "plot" })
      : "";
  const parts = [
    element("div", { class: "question", html: asked.text }),
    element("p", { class: "answered" }, told.filter(Boolean).join(" · ")),
    results,
    asked.truth
      ? element(
          "div",
          { class: "truth" },
          asked.options.length
            ? ""
            : element("p", {
                html: `<strong>${say("truth")}: ${number(Number(asked.truth.value))} ${asked.unit}</strong>`,
              }),
          element("div", { html: asked.truth.why }),
          beforeAndAfter(asked),
        )
      : "",
  ];
  return { parts, picture: size => guesses(asked, size), text: "",
    controls: [
      ...buttons.map(([key, what]) =>
        element(
          "button",
          {
            type: "button",
            id: `do-${what}`,
            onclick: () => (what !== "reset" || confirm(say("reset_sure"))) && act({ do: what }),
          },
          say(`do_${key}`),
        ),
      ),
      choose,
    ] };
}

/**
 * How many were right when the question was asked first, and now.
 * @type {(asked: Question) => Child}
 */
function beforeAndAfter(asked) {
  if (!asked.before_and_after) return "";
  /** @type {(of: Right) => string} */
  const share = ({ right, people }) => people ? number(Math.round(100 * right / people)) : "–";
  const [before, after] = asked.before_and_after;
  return element(
    "p",
    { class: "before-after" },
    say("before_after", {
      before: share(before),
      of_before: before.people,
      after: share(after),
      of_after: after.people,
    }),
  );
}

// One at a time: the back row reads one picture.
/** @type {Record<"mean" | "histogram" | "intervals" | "shared", (draws: Draws, size: Size) => Child>} */
const CHARTS = { mean: closing, histogram, intervals, shared };

/** @type {(state: WallState) => Shown} */
function drawsView(state) {
  const steps = state.steps.filter(step => state.drawing.includes(step.id));
  if (!steps.length) return { parts: [element("p", {}, say("nothing_to_draw"))], controls: [], text: "" };
  /** @type {HTMLSelectElement} */
  const choose = element(
    "select",
    {
      id: "gather",
      "aria-label": say("gather"),
      onchange: () => choose.value && act({ do: "gather", step: choose.value }),
    },
    element("option", { value: "" }, say("gather")),
    ...steps.map((step) =>
      element("option", { value: step.id, selected: state.draws?.step === step.id, html: step.title }),
    ),
  );
  const draws = state.draws;
  if (!draws) return { parts: [element("p", {}, say("gather_about"))], controls: [choose], text: "" };
  const coins = state.coins.reduce((sum, [, times]) => sum + times, 0);
  const parts = [
    element(
      "nav",
      {},
      ...namesIn(CHARTS).map((name) =>
        tab(`chart-${name}`, `chart_${name}`, chart === name, () => {
          chart = name;
        }),
      ),
    ),
    element(
      "p",
      {},
      say("pooled", {
        n: draws.all.n,
        mean: number(draws.all.mean),
        error: number(draws.all.error, 2),
        truth: number(draws.truth),
      }),
    ),
    element("p", {}, aboutIntervals(draws)),
    element("div", { class: "plot" }),
    coins
      ? element(
          "p",
          { class: "coins" },
          say("coins_pooled", {
            rows: coins,
            mean: number(state.coins.reduce((sum, [throws, times]) => sum + throws * times, 0) / coins),
          }),
        )
      : "",
  ];
  return { parts, picture: size => CHARTS[chart](draws, size), controls: [choose], text: "" };
}

/** A shared N costs so few of the intervals that a class does not see it. */
const HARDLY = 0.9;

/**
 * How many of these intervals contain the truth.
 * @type {(each: Interval[]) => { hits: number, all: number }}
 */
function counted(each) {
  const told = each.filter((one) => one.hit !== null);
  return { hits: told.filter((one) => one.hit).length, all: told.length };
}

/** @type {(draws: Draws) => string} */
function aboutIntervals({ each, shared }) {
  if (chart === "intervals") return say("intervals", counted(each));
  if (chart !== "shared") return "";
  if (!shared) return say("shared_none");
  const counts = { ...counted(shared.each), batch: shared.batch };
  if (shared.expected === null) return say("shared_unknown", counts);
  const told = say("shared", { ...counts, expected: number(Math.round(100 * shared.expected)) });
  return shared.expected > HARDLY ? `${told} ${say("shared_hardly")}` : told;
}

/** @type {(state: WallState) => Shown} */
function paceView(state) {
  const most = Math.max(1, ...state.steps.map(step => step.here));
  const last =
    state.released === null ? state.steps.length : state.steps.findIndex((step) => step.id === state.released) + 1;
  const parts = [
    element("p", {}, last === state.steps.length ? say("all_released") : say("released", { number: last })),
    ...state.steps.map((step, index) =>
      element(
        "div",
        { class: index < last ? "step" : "step closed" },
        element("span", { html: `${index + 1}. ${step.title}` }),
        element(
          "span",
          { class: "track" },
          element("span", { class: "fill round-1", style: `width:${(100 * step.here) / most}%` }),
        ),
        element("span", { class: "people" }, String(step.here)),
        element(
          "button",
          { type: "button", id: `release-${step.id}`, onclick: () => act({ do: "release", step: step.id }) },
          say("release"),
        ),
        element(
          "button",
          { type: "button", id: `bring-${step.id}`, onclick: () => act({ do: "bring", step: step.id }) },
          say("bring"),
        ),
      ),
    ),
  ];
  return {
    parts,
    text: "",
    controls: [element("button", { type: "button", id: "free", onclick: () => act({ do: "release" }) }, say("free"))],
  };
}

const MORE_SEATS = 40;

/**
 * Who may come in, and whose seats are taken away.
 * @type {(state: WallState) => Shown}
 */
function peopleView(state) {
  /** @type {(first: number, last: number) => unknown} */
  const remove = (first, last) => confirm(say("remove_sure", { first, last })) && act({ do: "remove", first, last });
  const fields = ["first", "last"].map((name) =>
    element("input", { type: "text", inputmode: "numeric", id: `remove-${name}`, size: "4", maxlength: "6" }),
  );
  const labelled = fields.flatMap((field, k) => [
    element("label", { for: field.id }, say(["seat_first", "seat_last"][k])),
    field,
  ]);
  /** @type {(event: Event) => void} */
  const send = event => {
    event.preventDefault();
    const [first, last] = fields.map(field => Number(field.value || NaN));
    if (Number.isInteger(first) && Number.isInteger(last)) remove(first, last);
  };
  const more = Math.min(state.seats + MORE_SEATS, state.most_seats);
  const parts = [
    element("p", {}, say(state.locked ? "locked_now" : "open_now")),
    element("p", {}, say("addresses", { most: state.seats })),
    ...state.addresses.map((of, index) =>
      element(
        "div",
        { class: "step" },
        element("span", {}, say("address", { number: index + 1, people: of.people, first: of.first, last: of.last })),
      ),
    ),
    element(
      "form",
      { class: "remove", onsubmit: send },
      ...labelled,
      element("button", { type: "submit", id: "remove" }, say("remove")),
    ),
  ];
  return { parts, text: "", controls: [
    element(
      "button",
      {
        type: "button",
        id: "lock",
        "aria-pressed": String(state.locked),
        onclick: () => act({ do: "lock", locked: !state.locked }),
      },
      say(state.locked ? "unlock" : "lock"),
    ),
    ...(more > state.seats
      ? [
          element(
            "button",
            { type: "button", id: "allow", onclick: () => act({ do: "allow", seats: more }) },
            say("allow", { seats: more }),
          ),
        ]
      : []),
  ] };
}

const VIEW = { question: questionView, draws: drawsView, pace: paceView, people: peopleView };

/**
 * What the view can do, and behind three dots what is rarely needed: it would stand for the class to see otherwise.
 * @type {(controls: HTMLElement[]) => HTMLElement}
 */
function foot(controls) {
  /** @type {(id: string, key: string, onclick: EventListener) => HTMLElement} */
  const button = (id, key, onclick) => element("button", { type: "button", id, onclick }, say(key));
  return element(
    "footer",
    {},
    ...controls,
    element(
      "details",
      { id: "more", open: Boolean(menuOf()?.open) },
      element("summary", { "aria-label": say("more"), title: say("more") }, "⋯"),
      element(
        "div",
        { class: "menu" },
        ...namesIn(FILES).map((name) => button(`save-${name}`, `save_${name}`, () => save(name))),
        button("copy", "copy_secret", copy),
        button("close", "close", () => confirm(say("close_sure")) && act({ do: "close" })),
      ),
    ),
  );
}

const menuOf = () => /** @type {HTMLDetailsElement | null} */ (document.getElementById("more"));

// The menu lies over what the class reads, so it goes when it has served or somebody presses elsewhere.
document.addEventListener("click", ({ target }) => {
  const menu = menuOf();
  if (menu?.open && target instanceof Element && !target.closest("summary, #copy")) menu.open = false;
});

/**
 * The secret stays out of sight: it is copied, not shown.
 * @type {(event: Event) => Promise<void>}
 */
async function copy({ target }) {
  try {
    await navigator.clipboard.writeText(`${location.href}#teacher=${secret}`);
    if (target instanceof Element) target.textContent = say("copied");
  } catch {
    alert(say("cannot_copy"));
  }
}

const TABLE = { ending: "csv", type: "text/csv" };
const FILES = { counts: TABLE, draws: TABLE, pooled: TABLE, coins: { ending: "py", type: "text/x-python" } };

/** @type {(name: keyof typeof FILES) => Promise<void>} */
async function save(name) {
  const { ending, type } = FILES[name];
  const text = await ask(`rooms/${DATA.code}/${name}.${ending}`, { secret });
  const link = element("a", {
    href: URL.createObjectURL(new Blob([text], { type })),
    download: `room-${DATA.code}-${name}.${ending}`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** @type {(body: { do: string, [name: string]: unknown }) => Promise<void>} */
async function act(body) {
  try {
    const told = await ask(`rooms/${DATA.code}`, { body, secret });
    if (body.do === "close") return closed(say("closed"));
    state = told;
    lost = false;
    draw();
  } catch (error) {
    if (error instanceof Refusal) alert(error.message);
    else { lost = true; draw(); }
  }
}

/** @type {(text: string) => void} */
function closed(text) {
  state = null;
  page.replaceChildren(element("p", { class: "waits" }, text));
}

/** A room of the lesson that the address names, and its wall. */
async function open() {
  const asked = new URLSearchParams(location.search);
  page.replaceChildren(element("p", { class: "waits" }, say("opening")));
  try {
    const made = await ask("rooms", {
      body: { lesson: asked.get("lesson") || "", language: asked.get("lang") || "" },
      key: kept.key || "",
    });
    kept.secrets[made.code] = made.secret;
    keep();
    location.replace(`${DATA.root}wall/${made.code}`);
  } catch (error) {
    if (error instanceof Refusal && error.key === "refuses_key") askForKey(error.message);
    else closed(error instanceof Refusal ? error.message : say("no_network"));
  }
}

/**
 * The key of the server, which its owner has seen at its start.
 * @type {(why: string) => void}
 */
function askForKey(why) {
  const field = element("input", {
    id: "key",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: "40",
    value: kept.key || "",
  });
  /** @type {(event: Event) => void} */
  const send = event => {
    event.preventDefault();
    kept.key = field.value.trim();
    keep();
    open();
  };
  page.replaceChildren(element("form", { class: "join", onsubmit: send }, element("p", {}, why),
    element("label", { for: "key" }, say("key")), field, element("button", { type: "submit" }, say("open_by_key"))));
  field.focus();
}

async function poll() {
  if (!secret) return closed(say("not_teacher"));
  if (drawn && !state) return;
  try {
    state = await ask(`rooms/${DATA.code}`, { secret });
    lost = false;
  } catch (error) {
    if (error instanceof Refusal) return closed(error.message);
    lost = true;
  }
  if (state) draw();
}

if (DATA.code === NEW) open();
else watch(poll, 1000);
