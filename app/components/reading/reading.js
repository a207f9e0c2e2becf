// What was open and done when the script last ran, kept by the window: Streamlit may build the component anew.

const SETTLES_MS = 250; // Streamlit draws what follows a moment after this
const find = (key) => document.querySelector(`.stVerticalBlock.st-key-${CSS.escape(key)}`);

/** How far the panel is scrolled when a block stands at its top, below the line that stays there. */
function place(panel, block) {
  const head = panel.querySelector(".st-key-lesson_head")?.getBoundingClientRect();
  const top = head && getComputedStyle(panel).position === "fixed" ? head.bottom : panel.getBoundingClientRect().top;
  return panel.scrollTop + block.getBoundingClientRect().top - top;
}

/** Down to what was done, unless all of it is in sight. */
function show(panel, block) {
  const { bottom } = panel.getBoundingClientRect();
  const task = panel.querySelector('[class*="st-key-lesson_task-"]')?.getBoundingClientRect();
  const seen = Math.min(bottom, task && task.top > block.getBoundingClientRect().top ? task.top : bottom);
  const wanted = place(panel, block);
  if (block.getBoundingClientRect().bottom > seen || wanted < panel.scrollTop) panel.scrollTop = wanted;
}

/** What lies over the text has the ground of the page, which Streamlit's theme chooses. */
function ground(panel) {
  panel?.style.setProperty("--ground", getComputedStyle(document.querySelector(".stApp")).backgroundColor);
}

export default function ({ data }) {
  ground(find(data.panel));
  const before = window.resflowReading;
  window.resflowReading = { step: data.step, done: data.done };
  if (!before) return;
  const isSame = before.step === data.step;
  const fresh = data.done.filter((key) => !before.done.includes(key));
  if (isSame && !fresh.length) return;
  setTimeout(() => {
    const panel = find(data.panel);
    const block = isSame && find(fresh[0]);
    if (panel && !isSame) panel.scrollTop = 0;
    else if (panel && block) show(panel, block);
  }, SETTLES_MS);
}
