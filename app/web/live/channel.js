// The channel: while it is open, the weights of the flow come by a WebSocket as soon as a turn of training ends, or
// pictures where the server draws them. Scenes bring the rest, and these too where it is closed.

import { isCalm } from "../canvas/page.js";
import { partOf } from "../part.js";
import { enqueue, momentsOfFrames, play } from "./clock.js";
import { takeWeights } from "./evaluation.js";
import { arriveAt } from "./probe.js";
import { keepMoments } from "./time.js";

/** @import { Frame } from "./picture.js" */
/** @import { Measured } from "./point.js" */
/** @import { Channel, View } from "./types.js" */

const AGAIN_SECONDS = [1, 2, 5, 15]; // until it is tried again
const SPACING = [16, 300]; // milliseconds between two pictures, at least and at most
const WAITING = 2; // pictures: one that waits longer is of the past

/**
 * Watch the run of the scene, if it is another than before.
 * @type {(view: View) => void}
 */
export function listenToChannel(view) {
  const [run] = view.scene.run.split(":");
  if (!view.scene.channel || view.channel?.run === run) return;
  closeChannel(view);
  view.channel = { run, socket: null, tries: 0, timer: undefined, cameAt: -Infinity, between: 60 };
  openChannel(view, view.channel);
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
 * Ask for moving pictures at a depth, or for a point, and say whether the channel is there to do so.
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
 * A picture has come: it waits for its turn, at the pace at which they come. Or what a point is made of: it does
 * not.
 * @type {(view: View, channel: Channel, message: { run: string, frames?: Frame[], at?: Measured }) => void}
 */
function arrive(view, channel, { run, frames, at }) {
  const now = performance.now();
  if (run === view.scene.run && at) arriveAt(view, at);
  const moments = momentsOfFrames(run, frames ?? []);
  if (run === view.scene.run) keepMoments(view, moments);
  if (!frames || run !== view.scene.run || !view.scene.playing) return;
  if (isCalm() && now < channel.cameAt + view.scene.poll_ms) return;
  if (!enqueue(view, moments, WAITING)) return;
  channel.between += 0.3 * (Math.max(SPACING[0], Math.min(SPACING[1], now - channel.cameAt)) - channel.between);
  channel.cameAt = now;
  view.spacing = channel.between;
  play(view);
}
