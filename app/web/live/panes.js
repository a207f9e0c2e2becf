// The component of the panes.

import { showScene, takeAway } from "./element.js";
import "./listening.js";

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".live-panes");
  showScene(root, data, { setState: setStateValue, setTrigger: setTriggerValue });
  return () => takeAway(root);
}
