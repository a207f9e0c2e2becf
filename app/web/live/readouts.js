// The component of the large numbers, and of the presenter's buttons beside them. It is a place for the numbers: what
// stands there comes with the scene of the panes.

import { partOf } from "../part.js";
import { showNumbersIn } from "./element.js";
import "./listening.js";

/** @import { Call } from "../types.js" */

/** @type {(call: Call<unknown>) => void} */
export default function ({ parentElement }) {
  showNumbersIn(partOf(parentElement, ".live-readouts"));
}
