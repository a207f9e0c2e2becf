// What a page knows of its browser and of the server: for the type checker alone.

/**
 * `known` is what the browser has kept, as far as this page has written or heard it; null where it keeps nothing.
 * `returned` is where Back or Forward has led, until the server is there. `again`: this page of the browser was another
 * page of the server's before.
 * @typedef {{ tell: (name: string, value: unknown) => void, keep: () => void, token: string, entry: string,
 *   screen: string, known: string | null | undefined, heard: boolean, again: boolean, room: string,
 *   tellingStored: ReturnType<typeof setTimeout> | undefined, telling: ReturnType<typeof setTimeout> | undefined,
 *   returned: { query: string, entry: string } | null, arrives: boolean }} Browser
 */

/**
 * The window has what outlives its modules: a page that stays open while the server is updated gets them twice.
 * @typedef {Window & { resflowBrowser?: Browser, resflowToKeep?: string }} Page
 */

export {};
