// The component of the true density: it shows nothing, and hands the density over to the panes.
export default function ({ data }) {
  (window.resflowLive ??= []).push(["truth", data]);
}
