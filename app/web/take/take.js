// The component of a menu that stands alone.

import { menuIn } from "./menu.js";

export default function ({ data, parentElement, setTriggerValue }) {
  menuIn({ host: parentElement.querySelector("[data-take]"), data, ask: (wanted) => setTriggerValue("asks", wanted) });
}
