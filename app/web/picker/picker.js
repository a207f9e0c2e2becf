// Data sets to choose from, each by a picture of its points. A click or Enter chooses; arrow keys only move, because
// every choice begins a new run. The page says which one is chosen.

const SIGNS = {
  plus: "M128 72v112M72 128h112",
  pencil: "M66 190l16-56L158 58a18 18 0 0 1 26 0l14 14a18 18 0 0 1 0 26L122 174zM140 76l40 40",
};
const MOVES = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
const views = new WeakMap(); // root -> {json: of the groups that it shows, choose}

/** One dot for each pair of bytes, y upwards. */
function dots(base64) {
  const bytes = atob(base64);
  let path = "";
  for (let i = 0; i < bytes.length; i += 2) path += `M${bytes.charCodeAt(i)} ${255 - bytes.charCodeAt(i + 1)}h0`;
  return path;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function tile({ key, title, points, sign }) {
  const button = element("button");
  button.type = "button";
  Object.assign(button.dataset, { key, title });
  button.title = title;
  button.setAttribute("role", "radio");
  button.setAttribute("aria-label", title);
  button.innerHTML = '<svg viewBox="-6 -6 268 268" aria-hidden="true"><path/></svg>';
  button.firstChild.classList.toggle("sign", !points);
  button.querySelector("path").setAttribute("d", points ? dots(points) : SIGNS[sign]);
  return button;
}

function build(root, groups) {
  root.querySelector(".groups").replaceChildren(...groups.map(({ title, tiles }) => {
    const group = element("div", "group");
    const row = element("div", "tiles");
    row.append(...tiles.map(tile));
    group.append(element("div", "caption", title), row);
    return group;
  }));
}

function say(root, button, passing) {
  const name = root.querySelector(".name");
  name.textContent = button?.dataset.title ?? "";
  name.classList.toggle("passing", passing);
}

function mark(root, key) {
  const buttons = [...root.querySelectorAll("button")];
  const chosen = buttons.find((button) => button.dataset.key === key);
  for (const button of buttons) {
    button.setAttribute("aria-checked", button === chosen);
    button.tabIndex = button === (chosen ?? buttons[0]) ? 0 : -1;
  }
  say(root, chosen, false);
}

function listen(root, view) {
  const chosen = () => root.querySelector("[aria-checked=true]");
  const groups = root.querySelector(".groups");
  groups.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || button === chosen()) return;
    mark(root, button.dataset.key);
    view.choose(button.dataset.key);
  });
  groups.addEventListener("keydown", (event) => {
    const buttons = [...root.querySelectorAll("button")];
    const here = buttons.indexOf(event.target.closest("button"));
    if (!(event.key in MOVES) || here < 0) return;
    event.preventDefault();
    buttons[(here + MOVES[event.key] + buttons.length) % buttons.length].focus();
  });
  for (const enter of ["pointerover", "focusin"]) {
    groups.addEventListener(enter, (event) => {
      const button = event.target.closest("button");
      if (button) say(root, button, button !== chosen());
    });
  }
  for (const leave of ["pointerleave", "focusout"]) groups.addEventListener(leave, () => say(root, chosen(), false));
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".picker");
  const json = JSON.stringify(data.groups);
  const view = views.get(root) ?? {};
  view.choose = (key) => setTriggerValue("picked", key);
  if (view.json !== json) build(root, data.groups);
  if (!views.has(root)) listen(root, view);
  view.json = json;
  views.set(root, view);
  mark(root, data.chosen);
}
