// What the whole page has of the live picture: its keys, also where a flow trains without a picture; the presenter's
// view and the list of keys, and how they look. The component brings it to a page, and does nothing itself.

import { applyStyle, styleAt } from "../style.js";
import { listenToKeys } from "./keys.js";
import { listenToPartsKeys } from "./parts.js";
import { listenToPresenter } from "./present.js";

const names = ["present.css", "keys.css", "parts.css"];
const styles = await Promise.all(names.map((name) => styleAt(new URL(name, import.meta.url))));
for (const style of styles) applyStyle(document.body, style);
listenToPresenter();
listenToKeys();
listenToPartsKeys();

export default () => {};
