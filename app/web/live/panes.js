// The component of the panes.

import { applyStyle, styleAt } from "../style.js";
import { showScene, takeAway } from "./element.js";
import "./listening.js";

const STYLES = await Promise.all(["keys.css", "parts.css"].map((name) => styleAt(new URL(name, import.meta.url))));

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".live-panes");
  for (const style of STYLES) applyStyle(root, style);
  showScene(root, data, { setState: setStateValue, setTrigger: setTriggerValue });
  return () => takeAway(root);
}
