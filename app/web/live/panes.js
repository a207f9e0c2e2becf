// The component of the panes.

import { partOf } from "../part.js";
import { showScene, takeAway } from "./element.js";
import "./listening.js";

/** @import { Call } from "../types.js" */
/** @import { Scene } from "./types.js" */

/** @type {(call: Call<Scene>) => () => void} */
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = partOf(parentElement, ".live-panes");
  showScene(root, data, { setState: setStateValue, setTrigger: setTriggerValue });
  return () => takeAway(root);
}
