// The channel: while it is open, the weights of the flow come by a WebSocket as soon as a turn of training ends, or
// pictures where the server draws them. Scenes bring the rest, and these too where it is closed.

import { isCalm } from "../canvas/page.js";
import { takeFrame } from "./clock.js";
import { takeWeights } from "./evaluation.js";
import { arriveAt } from "./probe.js";

const AGAIN_SECONDS = [1, 2, 5, 15]; // until it is tried again
const CALM_APART_MS = 1000; // between two frames of a flow that moves, for who wants no motion

/** Watch the run of the scene, if it is another than before. */
export function listenToChannel(view) {
  const [run] = view.scene.run.split(":");
  if (!view.scene.channel || view.channel?.run === run) return;
  closeChannel(view);
  view.channel = { run, socket: null, tries: 0, timer: null, cameAt: -Infinity };
  openChannel(view, view.channel);
}

function openChannel(view, channel) {
  const address = new URL(view.scene.channel, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = (channel.socket = new WebSocket(address));
  socket.addEventListener("open", () => {
    socket.send(JSON.stringify({ run: channel.run, weights: true, hidden: document.hidden }));
    if (view.evaluation.isRefused) askByChannel(view, { plain: true });
    if (view.depth.asked !== null) askByChannel(view, { depth: view.depth.asked });
    if (view.probe.x) askByChannel(view, { point: view.probe.x });
    showChannel(view, "open");
  });
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", ({ data }) => {
    channel.tries = 0;
    if (data instanceof ArrayBuffer) takeWeights(view, data);
    else arrive(view, channel, JSON.parse(data));
  });
  socket.addEventListener("close", () => {
    if (view.channel !== channel || !view.root.isConnected) return;
    showChannel(view, "closed");
    const wait = AGAIN_SECONDS[Math.min(channel.tries++, AGAIN_SECONDS.length - 1)];
    channel.timer = setTimeout(() => openChannel(view, channel), 1000 * wait);
  });
}

/** Ask for frames at a depth, or for a point, and say whether the channel is there to do so. */
export function askByChannel(view, wish) {
  const socket = view.channel?.socket;
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(wish));
  return true;
}

export function closeChannel(view) {
  const { channel } = view;
  view.channel = null;
  if (!channel) return;
  clearTimeout(channel.timer);
  channel.socket.close();
}

/** Say that the channel is closed, if it stays so. */
function showChannel(view, state) {
  view.root.dataset.channel = state;
  view.root.querySelector(".live-slow").hidden = state === "open" || view.channel.tries < 1;
}

/** A frame has come, or what a point is made of. */
function arrive(view, channel, { run, frame, at }) {
  if (run !== view.scene.run) return;
  if (at) arriveAt(view, at);
  const now = performance.now();
  if (!frame || (isCalm() && view.scene.playing && now < channel.cameAt + CALM_APART_MS)) return;
  channel.cameAt = now;
  takeFrame(view, frame);
}
