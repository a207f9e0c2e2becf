// The component of the true density: it shows nothing, and hands the density over to the panes.

import { hearTruth } from "./element.js";

/** @import { Call } from "../types.js" */
/** @import { HeardTruth } from "./types.js" */

/** @type {(call: Call<HeardTruth>) => void} */
export default function ({ data }) {
  hearTruth(data);
}
