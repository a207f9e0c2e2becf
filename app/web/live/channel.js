// The channel: while it is open, the weights of the flow come by a WebSocket as soon as a turn of training ends, or
// pictures where the server draws them. Scenes bring the rest, and these too where it is closed.

import { isCalm } from "../canvas/page.js";
import { partOf } from "../part.js";
import { takeFrame } from "./clock.js";
import { CALM_APART_MS, takeWeights } from "./evaluation.js";
import { arriveAt } from "./probe.js";

/** @import { Frame } from "./picture.js" */
/** @import { Measured } from "./point.js" */
/** @import { Channel, View } from "./types.js" */

const AGAIN_SECONDS = [1, 2, 5, 15]; // until it is tried again

/**
 * Watch the run of the scene, if it is another than before.
 * @type {(view: View) => void}
 */
export function listenToChannel(view) {
  const [run] = view.scene.run.split(":");
  if (!view.scene.channel || view.channel?.run === run) return;
  closeChannel(view);
  /** @type {Channel} */
  const channel = { run, socket: null, tries: 0, timer: undefined, cameAt: -Infinity };
  view.channel = channel;
  openChannel(view, channel);
}

/** @type {(view: View, channel: Channel) => void} */
function openChannel(view, channel) {
  const address = new URL(view.scene.channel ?? "", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = (channel.socket = new WebSocket(address));
  socket.addEventListener("open", () => {
    socket.send(JSON.stringify({ run: channel.run, weights: true, hidden: document.hidden }));
    if (view.evaluation.isRefused) askByChannel(view, { plain: true });
    if (view.depth.asked !== null) askByChannel(view, { depth: view.depth.asked });
    if (view.probe.x) askByChannel(view, { point: view.probe.x });
    showChannel(view, channel, "open");
  });
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", ({ data }) => {
    channel.tries = 0;
    if (data instanceof ArrayBuffer) takeWeights(view, data);
    else arrive(view, channel, JSON.parse(data));
  });
  socket.addEventListener("close", () => {
    if (view.channel !== channel || !view.root.isConnected) return;
    showChannel(view, channel, "closed");
    const wait = AGAIN_SECONDS[Math.min(channel.tries++, AGAIN_SECONDS.length - 1)];
    channel.timer = setTimeout(() => openChannel(view, channel), 1000 * wait);
  });
}

/**
 * Ask for frames at a depth, or for a point, and say whether the channel is there to do so.
 * @type {(view: View, wish: Record<string, unknown>) => boolean}
 */
export function askByChannel(view, wish) {
  const socket = view.channel?.socket;
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(wish));
  return true;
}

/** @type {(view: View) => void} */
export function closeChannel(view) {
  const { channel } = view;
  view.channel = null;
  if (!channel) return;
  clearTimeout(channel.timer);
  channel.socket?.close();
}

/**
 * Say that the channel is closed, if it stays so.
 * @type {(view: View, channel: Channel, state: "open" | "closed") => void}
 */
function showChannel(view, { tries }, state) {
  view.root.dataset.channel = state;
  partOf(view.root, ".live-slow").hidden = state === "open" || tries < 1;
}

/**
 * A frame has come, or what a point is made of.
 * @type {(view: View, channel: Channel, message: { run: string, frame?: Frame, at?: Measured }) => void}
 */
function arrive(view, channel, { run, frame, at }) {
  if (run !== view.scene.run) return;
  if (at) arriveAt(view, at);
  const now = performance.now();
  if (!frame || (isCalm() && view.scene.playing && now < channel.cameAt + CALM_APART_MS)) return;
  channel.cameAt = now;
  takeFrame(view, frame);
}
