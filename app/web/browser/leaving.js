// A reload is told from a visit by a cookie that says for some seconds which page was left here.

import { COOKIE, COOKIE_SECONDS } from "./names.js";

/** @import { Browser } from "./types.js" */

/** @type {(browser: Browser) => void} */
export function leaveWord(browser) {
  addEventListener("pagehide", () => {
    // biome-ignore lint/suspicious/noDocumentCookie: the page is gone before the newer interface would answer
    document.cookie = `${COOKIE}=${browser.token}; path=/; max-age=${COOKIE_SECONDS}; samesite=strict`;
  });
}
