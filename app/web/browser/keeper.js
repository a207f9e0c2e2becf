/** @import { Call } from "../types.js" */
/** @import { Page } from "./types.js" */

const page = /** @type {Page} */ (window);

// Hands over what the browser shall keep; where the page's script is not there yet, it finds it.
/** @type {(call: Call<{ progress: string }>) => void} */
export default ({ data }) => {
  page.resflowToKeep = data.progress;
  page.resflowBrowser?.keep();
};
