// What can be taken away of the panes: all of them as one figure, in the colours of paper, and the numbers of each.

import { paperTheme } from "../canvas/page.js";
import { tableOf } from "../canvas/panel.js";
import { menuIn } from "../take/menu.js";
import { completed } from "./evaluated.js";
import { panelOfPane, pictureOf } from "./picture.js";
import { bottomOf, look, spaceOf } from "./planes.js";

/** @import { Pane, Read, View } from "./types.js" */

/**
 * The menu stands in the line of the title that is at the top right.
 *
 * @param {View} view
 * @param {import("../types.js").Take} data
 * @param {(name: string, value: unknown) => void} setTrigger
 */
export function showMenu(view, data, setTrigger) {
  const last = view.panes[Math.min(view.panes.length, Number(view.root.dataset.columns ?? 1)) - 1];
  view.menu.hidden = !last;
  if (!last) return;
  /** @param {unknown} wanted */
  const ask = (wanted) => setTrigger("asks", wanted);
  menuIn({ host: view.menu, data, ask, figure: () => figureOfPanes(view) });
}

/**
 * A colour bar also where the page has no room for one: paper has, and there no number can be pointed at.
 *
 * @param {Read} read
 * @returns {Read}
 */
const withBar = (read) => (read.heat ? { ...read, heat: { ...read.heat, bar: true } } : read);

/** @param {View} view */
function figureOfPanes(view) {
  const theme = paperTheme(view.root);
  const drawn = (/** @type {Pane} */ pane) => {
    const { chosen, hidden, evaluated } = pane;
    const shown = { ranges: view.zooms.get(spaceOf(view, pane)), chosen, hidden, evaluated, top: view.top };
    const picture = pictureOf(withBar(pane.read), theme, shown);
    return { ...picture, margin: { ...picture.margin, bottom: bottomOf(pane.spec, pane.read.heat !== null) } };
  };
  const name = view.panes.map(({ spec }) => spec.title).join(", ");
  return {
    name: view.panes[0].spec.title, title: name, columns: Number(view.root.dataset.columns),
    prepare: () => completed(view, (pane) => look(view, pane)),
    get panels() { return view.panes.map((pane) => panelOfPane(pane, drawn(pane), theme)); },
    tables: view.panes.map((pane) => ({
      title: view.panes.length > 1 ? pane.spec.title : "", text: () => tableOf(drawn(pane), pane.read.logs),
    })),
  };
}
