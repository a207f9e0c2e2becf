// The history of the browser. Streamlit pushes an entry for each change of the query; here one is pushed where the server
// names another entry, and everything else replaces the address.

const isOurs = (url) => url.pathname === location.pathname;

/** The address that is seen for one that the server wrote: with the view as it is, and without the name of the entry. */
function seen(url, keepsView) {
  const entry = url.searchParams.get(ENTRY);
  const query = new URLSearchParams([...url.searchParams].filter(([name]) => !name.startsWith(VIEW)));
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (name === VIEW || (keepsView && name.startsWith(VIEW))) query.set(name, value);
  }
  return { entry, address: `${url.pathname}${query.size ? `?${query}` : ""}${url.hash}` };
}

/** Whether an entry of the history is of the same page as the server's: a page that was loaded anew has other names. */
const isSamePage = (one, other) => one?.split(".")[0] === other?.split(".")[0];

function tidyHistory() {
  const [push, replace] = ["pushState", "replaceState"].map((name) => history[name].bind(history));
  history.pushState = (state, title, target) => {
    const url = new URL(target ?? location.href, location.href);
    const { entry, address } = seen(url, isOurs(url));
    const now = history.state?.entry;
    if (isOurs(url) && !(entry && now && entry !== now && isSamePage(entry, now))) {
      replace({ ...state, entry: entry ?? now }, title, address);
    } else {
      push(isOurs(url) ? { ...state, entry } : state, title, address);
    }
  };
  history.replaceState = (state, title, target) => {
    const url = new URL(target ?? location.href, location.href);
    const { address } = url.searchParams.has(ENTRY) ? seen(url, true) : { address: target };
    replace({ ...state, entry: history.state?.entry }, title, address);
  };
}

/** Tell the server where Back or Forward has led; on another screen once that is drawn. */
function hearReturns(browser) {
  addEventListener("popstate", () => {
    browser.returned = { query: location.search, entry: history.state?.entry ?? "", path: location.pathname };
    tellReturn(browser, location.pathname);
  });
}

function tellReturn(browser, drawn) {
  const { returned } = browser;
  if (returned?.path !== drawn) return;
  browser.returned = null;
  browser.tell("returned", { query: returned.query, entry: returned.entry });
}
