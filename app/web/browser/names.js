// The names of what a page of the browser keeps, and of what it shares with the server.

export const ENTRY = "view.entry"; // of which entry an address of the server's is: as in `app/components/browser`
export const COOKIE = "resflow_page"; // with the page's token, for a while after it was left: the same as there
export const COOKIE_SECONDS = 15;
export const STORED = "resflow.progress"; // what somebody did in lessons
export const ROOM = "resflow.room"; // which room the browser is in, and who it is there
