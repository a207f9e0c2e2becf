// What can be taken away of the replay: a stored picture as a figure (`take/sheet.js`), in the colours of paper, with
// the numbers of its run.

import { PALETTES } from "../canvas/layers.js";
import { shown } from "../canvas/numbers.js";
import { paperTheme } from "../canvas/page.js";
import { csvOf, panelOf, tableOf } from "../canvas/panel.js";
import {
  altAt, densityPicture, goTo, kindOf, lossPicture, MOST_LEVEL, numbersAt, setMoving, stepAt,
} from "./replay.js";

/** @import { Field, Figure, Film, Layer, Picture, Surface } from "../canvas/types.js" */
/** @import { Kind, Replay, Scene } from "./types.js" */

/**
 * What lies between two stored pictures is faded and was never measured: the figure is of the nearer one.
 * @type {(replay: Replay) => number}
 */
const nearest = ({ scene, at }) => Math.round(Math.min(at, scene.last));

/**
 * A stored picture as densities.
 * @type {(kind: Kind, k: number) => Field}
 */
function densitiesOf({ pictures }, k) {
  const { values, top } = pictures[k];
  const side = Math.sqrt(values.length);
  return { values: Float32Array.from(values, (level) => (level / MOST_LEVEL) * top), rows: side, columns: side };
}

/** @type {(html: string) => string} */
const withoutMarks = (html) => html.replace(/<[^>]+>/g, "");

/**
 * The names of lines, and how each is drawn.
 * @type {(picture: Picture) => { label: string, layers: Layer[] }[]}
 */
const legendOfLines = ({ layers }) =>
  layers.flatMap((layer) => (layer.name ? { label: layer.name, layers: [layer] } : []));

/**
 * Loss and mass after each of the stored steps.
 * @type {(scene: Scene, kind: Kind) => string}
 */
function tableOfRun(scene, kind) {
  const head = [
    "step",
    "true held-out loss (nats)",
    "reported held-out loss (nats)",
    "mass",
    "entropy of the data (nats)",
  ];
  return csvOf(head, scene.steps.map((step, k) => [step, kind.true[k], kind.reported[k], kind.mass[k], scene.entropy]));
}

/**
 * The stored pictures one after the other, and then the replay as it was.
 * @type {(replay: Replay) => Film}
 */
function filmOfReplay(replay) {
  const { at, moving } = replay;
  return {
    count: replay.scene.steps.length,
    figure(k) {
      goTo(replay, k);
      return figureOfReplay(replay);
    },
    done() {
      goTo(replay, Math.min(at, replay.scene.last));
      setMoving(replay, moving);
    },
  };
}

/** @type {(replay: Replay) => Figure | null} */
export function figureOfReplay(replay) {
  const { root, scene, plane, loss, isCut } = replay;
  if (!root.isConnected) return null;
  const at = nearest(replay);
  const theme = paperTheme(root);
  const kind = kindOf(replay);
  const { top } = kind.pictures[at];
  const told = `density per unit area (to ${shown(top / MOST_LEVEL / 2)}, at most ${shown(top)})`;
  const density = densityPicture(scene, densitiesOf(kind, at), top);
  density.bar = { title: "density per unit area", range: [0, top], palette: PALETTES.viridis };
  Object.assign(density.layers[0], { name: "density", told });
  const losses = lossPicture({ scene, at, isCut }, kind, theme);
  const by = isCut ? `${scene.terms} terms` : "exact log det";
  const title = `Density after step ${stepAt(scene, at)}, trained by ${isCut ? `${by} of the series` : `the ${by}`}`;
  /** @type {(surface: Surface) => { note: string, width: number, height: number }} */
  const sized = ({ box }) => ({ note: "", width: box.clientWidth, height: box.clientHeight });
  return {
    name: `replay ${by} step ${scene.steps[at]}`, title, columns: 2,
    caption: [numbersAt({ scene, at, isCut }, kind).map(withoutMarks).join("; ")], film: filmOfReplay(replay),
    panels: [
      panelOf({ ...sized(plane), title, alt: altAt(scene, at), picture: density, legend: [] }),
      panelOf({
        ...sized(loss),
        title: "Held-out loss",
        alt: scene.lossAlt,
        picture: losses,
        legend: legendOfLines(losses),
      }),
    ],
    tables: [
      { title: "density", text: () => tableOf(density) },
      { title: "loss and mass", text: () => tableOfRun(scene, kind) },
    ],
  };
}
