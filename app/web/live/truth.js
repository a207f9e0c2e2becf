// The component of the true density: it shows nothing, and hands the density over to the panes.

import { hearTruth } from "./element.js";

/** @import { Call } from "../types.js" */
/** @import { Truth } from "./types.js" */

/** @type {(call: Call<Truth & { id: string }>) => void} */
export default function ({ data }) {
  hearTruth(data);
}
