// What the live picture hears of the whole page.

import { listenToKeys } from "./keys.js";
import { listenToPartsKeys } from "./parts.js";
import { listenToPresenter } from "./present.js";

listenToPresenter();
listenToKeys();
listenToPartsKeys();
