"use strict";
// The teacher's wall: readable from the back row. What it shows changes only by its own buttons.

const page = document.getElementById("page");
const NEW = "new";  // in the place of a code: a room is opened
const VIEWS = ["question", "draws", "pace"];
const secretInLink = new URLSearchParams(location.hash.slice(1)).get("teacher");
if (secretInLink) {
  kept.secrets[DATA.code] = secretInLink;
  keep();
  history.replaceState(null, "", location.pathname);  // nobody reads it off the projector
}
const secret = kept.secrets[DATA.code] || "";
let state = null, drawn = "", view = "question", chart = "mean", lost = false;

function draw() {
  const now = JSON.stringify([state, view, chart, lost]);
  if (now === drawn) return;
  drawn = now;
  speak(state.language);
  const focused = document.activeElement?.id;
  page.replaceChildren(head(), element("nav", {}, ...VIEWS.map(name => tab(`view-${name}`, `view_${name}`, view === name, () => { view = name; })),
    ...(view === "draws" && state.draws ? [element("span", { class: "apart" }), ...Object.keys(CHARTS).map(name => tab(`chart-${name}`, `chart_${name}`, chart === name, () => { chart = name; }))] : [])),
  { question: questionView, draws: drawsView, pace: paceView }[view](), foot());
  if (focused) document.getElementById(focused)?.focus();
}

function tab(id, key, pressed, choose) {
  return element("button", { type: "button", id, "aria-pressed": String(pressed), onclick: () => { choose(); draw(); } }, say(key));
}

function head() {
  const link = DATA.reached ? DATA.link.replace(/^https?:\/\//, "") : say("not_reached");
  return element("header", {},
    element("div", { class: "join-here" }, DATA.reached ? element("img", { src: DATA.qr, alt: say("qr_alt", { link: DATA.link }) }) : "",
      element("div", {}, element("div", { class: "address" }, link), element("div", { class: "code" }, DATA.code))),
    element("div", { class: "about" }, element("div", {}, state.lesson), element("div", { class: "count" }, say("people_here", { people: state.members }))),
    lost ? element("div", { class: "told", role: "alert" }, say("no_network")) : "");
}

function questionView() {
  const asked = state.question;
  const choose = element("select", { id: "choose", "aria-label": say("choose_question"), onchange: event => event.target.value && act({ do: "ask", question: event.target.value }) },
    element("option", { value: "" }, say("choose_question")),
    ...state.questions.map((one, index) => element("option", { value: one.id, selected: asked?.id === one.id, html: `${index + 1}. ${one.text}` })));
  if (!asked) return element("section", {}, choose, element("p", {}, say("choose_first")));
  const shown = asked.rounds.length > 0;
  const results = !shown ? element("p", { class: "hidden-results" }, say("hidden")) : asked.options.length ? bars(asked) : guesses(asked);
  const buttons = {
    voting: [["show", "show"], ["reveal", "reveal"]],
    shown: [["discuss", "discuss"], ["again", "again"], ["reveal", "reveal"]],
    discussed: [["again", "again"], ["reveal", "reveal"]],
    revealed: [],
  }[asked.stage];
  return element("section", { class: "asked" },
    element("div", { class: "question", html: asked.text }),
    !shown && asked.options.length ? element("ul", { class: "options" }, ...asked.options.map(([, text]) => element("li", { html: text }))) : "",
    element("p", { class: "answered" }, say("answered_of", { answered: state.answered, people: state.members }),
      asked.round > 1 ? ` · ${say("vote_number", { number: asked.round })}` : "", asked.stage === "discussed" ? ` · ${say("discuss_now")}` : ""),
    results,
    asked.truth ? element("div", { class: "truth" }, asked.options.length ? "" : element("p", { html: `<strong>${say("truth")}: ${number(asked.truth.value)} ${asked.unit}</strong>` }), element("div", { html: asked.truth.why })) : "",
    element("div", { class: "actions" }, ...buttons.map(([key, what]) => element("button", { type: "button", id: `do-${what}`, onclick: () => act({ do: what }) }, say(`do_${key}`))), choose));
}

// One at a time: the back row reads one picture.
const CHARTS = { mean: closing, histogram, intervals };

function drawsView() {
  const steps = state.steps.filter(step => state.drawing.includes(step.id));
  if (!steps.length) return element("section", {}, element("p", {}, say("nothing_to_draw")));
  const choose = element("select", { id: "gather", "aria-label": say("gather"), onchange: event => event.target.value && act({ do: "gather", step: event.target.value }) },
    element("option", { value: "" }, say("gather")),
    ...steps.map(step => element("option", { value: step.id, selected: state.draws?.step === step.id, html: step.title })));
  const draws = state.draws;
  if (!draws) return element("section", {}, choose, element("p", {}, say("gather_about")));
  const told = draws.each.filter(one => one.hit !== null), hits = told.filter(one => one.hit).length;
  const coins = state.coins.reduce((sum, [, times]) => sum + times, 0);
  return element("section", { class: "draws" },
    element("p", {}, say("pooled", { n: draws.all.n, mean: number(draws.all.mean), error: number(draws.all.error, 2), truth: number(draws.truth) })),
    chart === "intervals" && told.length ? element("p", {}, say("intervals", { hits, all: told.length })) : "", CHARTS[chart](draws),
    coins ? element("p", {}, say("coins_pooled", { rows: coins, mean: number(state.coins.reduce((sum, [throws, times]) => sum + throws * times, 0) / coins) })) : "",
    element("div", { class: "actions" }, choose));
}

function paceView() {
  const most = Math.max(1, ...state.steps.map(step => step.here));
  const last = state.released === null ? state.steps.length : state.steps.findIndex(step => step.id === state.released) + 1;
  return element("section", { class: "pace" },
    element("p", {}, last === state.steps.length ? say("all_released") : say("released", { number: last })),
    ...state.steps.map((step, index) => element("div", { class: index < last ? "step" : "step closed" },
      element("span", { html: `${index + 1}. ${step.title}` }),
      element("span", { class: "track" }, element("span", { class: "fill round-1", style: `width:${100 * step.here / most}%` })),
      element("span", { class: "people" }, String(step.here)),
      element("button", { type: "button", id: `release-${step.id}`, onclick: () => act({ do: "release", step: step.id }) }, say("release")),
      element("button", { type: "button", id: `bring-${step.id}`, onclick: () => act({ do: "bring", step: step.id }) }, say("bring")))),
    element("div", { class: "actions" }, element("button", { type: "button", id: "free", onclick: () => act({ do: "release" }) }, say("free"))));
}

/** What is rarely needed, closed: the room's own buttons stand for the class to see otherwise. */
function foot() {
  const button = (id, key, onclick) => element("button", { type: "button", id, onclick }, say(key));
  return element("details", { id: "more", open: Boolean(document.getElementById("more")?.open) }, element("summary", {}, say("more")),
    element("div", { class: "actions" },
      ...["counts", "draws", "pooled"].map(name => button(`save-${name}`, `save_${name}`, () => save(name))),
      button("copy", "copy_secret", copy),
      button("close", "close", () => confirm(say("close_sure")) && act({ do: "close" }))));
}

/** The secret stays out of sight: it is copied, not shown. */
async function copy(event) {
  try {
    await navigator.clipboard.writeText(`${location.href}#teacher=${secret}`);
    event.target.textContent = say("copied");
  } catch {
    alert(say("cannot_copy"));
  }
}

async function save(name) {
  const text = await ask(`rooms/${DATA.code}/${name}.csv`, { secret });
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: `room-${DATA.code}-${name}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

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

function closed(text) {
  state = null;
  page.replaceChildren(element("p", { class: "waits" }, text));
}

/** A room of the lesson that the address names, and its wall. */
async function open() {
  const asked = new URLSearchParams(location.search);
  page.replaceChildren(element("p", { class: "waits" }, say("opening")));
  try {
    const made = await ask("rooms", { body: { lesson: asked.get("lesson") || "", language: asked.get("lang") || "" } });
    kept.secrets[made.code] = made.secret;
    keep();
    location.replace(`${DATA.root}wall/${made.code}`);
  } catch (error) {
    closed(error instanceof Refusal ? error.message : say("no_network"));
  }
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
