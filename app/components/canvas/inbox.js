/** Take what components hand over by `window[name].push([kind, message])`; what came before this script waits there. */
function inbox(name, mail) {
  const deliver = ([kind, message]) => mail[kind](message);
  const waiting = window[name] ?? [];
  window[name] = { push: deliver };
  waiting.forEach(deliver);
}
