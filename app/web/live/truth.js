// The component of the true density: it shows nothing, and hands the density over to the panes.

import { hearTruth } from "./element.js";

export default function ({ data }) {
  hearTruth(data);
}
