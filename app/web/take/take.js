// The component of a menu that stands alone.

import { partOf } from "../part.js";
import { menuIn } from "./menu.js";

/** @import { Call, Take } from "../types.js" */

/** @type {(call: Call<Take>) => void} */
export default function ({ data, parentElement, setTriggerValue }) {
  const host = partOf(parentElement, "[data-take]");
  menuIn({ host, data, ask: (wanted) => setTriggerValue("asks", wanted) });
}
