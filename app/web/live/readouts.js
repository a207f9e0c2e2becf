// The component of the large numbers, and of the presenter's buttons beside them. It is a place for the numbers: what
// stands there comes with the scene of the panes.

import { applyStyle, styleAt } from "../style.js";
import { showNumbersIn } from "./element.js";
import "./listening.js";

const STYLE = await styleAt(new URL("present.css", import.meta.url));

export default function ({ parentElement }) {
  applyStyle(parentElement, STYLE);
  showNumbersIn(parentElement.querySelector(".live-readouts"));
}
