// The component of the large numbers, and of the presenter's buttons beside them. It is a place for the numbers: what
// stands there comes with the scene of the panes.

import { showNumbersIn } from "./element.js";
import "./listening.js";

export default function ({ parentElement }) {
  showNumbersIn(parentElement.querySelector(".live-readouts"));
}
