// The names under which page, browser and server know what they share: the same as in `app/components/browser` and `app/link.py`.

export const ENTRY = "view.entry"; // of an address that the server writes
export const COOKIE = "resflow_page";
export const COOKIE_SECONDS = 15;
export const STORED = "resflow.progress";
export const ROOM = "resflow.room";
