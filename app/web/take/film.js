// A film as a file (WebM): sheets one after the other, recorded by the browser at the pace at which they are shown.
//
// A film is {count, figure(k), done()}: `figure(k)` shows its k-th picture on the page and returns it as a figure, or a
// promise of it; null if that has gone.

import { contextOf, penOf } from "../canvas/page.js";
import { drawSheet, laidOut, SMALL } from "./sheet.js";

/** @import { Figure, Film, Theme } from "../canvas/types.js" */

const FILM_TYPES = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];
const FILM_PACE = 100; // ms for each picture
const FILM_END = 1500; // ms for which the last one stays
const FILM_POLL = 10; // ms after which it is asked again whether a picture is encoded
const FILM_BITS = 6e6; // a second, at most
const FILM_PATIENCE = 10_000; // ms for which a picture that is not encoded keeps the next one waiting
const SPARE_LINES = 2; // of the caption: numbers get longer while a flow trains

/** @type {(ms: number) => Promise<void>} */
const passed = (ms) => new Promise((done) => { setTimeout(done, ms); });

/**
 * What draws sheets on a canvas that keeps the size of the first one, with some room for more words.
 * @type {(canvas: HTMLCanvasElement, theme: Theme) => (figure: Figure, isFirst?: boolean) => void}
 */
function screenOf(canvas, theme) {
  const sheet = document.createElement("canvas");
  const pen = contextOf(canvas);
  return (figure, isFirst) => {
    const laid = laidOut(contextOf(sheet), figure, theme);
    drawSheet(penOf(sheet, laid.width, laid.height, 1), laid, theme, 1);
    if (isFirst) [canvas.width, canvas.height] = [sheet.width, sheet.height + SPARE_LINES * SMALL.line];
    pen.fillStyle = theme.paper;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(sheet, 0, 0);
  };
}

/**
 * Wait until the browser has encoded something since this call. Whether it says so in time: some say it at the end. A
 * busy one is late, and drops what it has not encoded when a recording stops.
 * @type {(recorder: MediaRecorder) => Promise<boolean>}
 */
async function isEncoded(recorder) {
  const end = performance.now() + FILM_PATIENCE;
  while (performance.now() < end) {
    /** @type {Promise<number>} */
    const size = new Promise((done) => {
      recorder.addEventListener("dataavailable", ({ data }) => done(data.size), { once: true });
    });
    recorder.requestData();
    if (await size) return true;
    await passed(FILM_POLL);
  }
  return false;
}

/** @type {(film: Film, theme: Theme) => Promise<Blob>} */
export async function recorded(film, theme) {
  const canvas = document.createElement("canvas");
  const type = window.MediaRecorder && FILM_TYPES.find((one) => MediaRecorder.isTypeSupported(one));
  if (!type || !canvas.captureStream) throw new Error("this browser cannot record films. Use Chrome, Edge or Firefox.");
  const draw = screenOf(canvas, theme);
  /** @type {Blob[]} */
  const parts = [];
  /** @type {MediaRecorder | null} */
  let recorder = null;
  let waits = true;
  try {
    for (let k = 0; k < film.count; k++) {
      const began = performance.now();
      const figure = await film.figure(k);
      if (!figure) throw new Error("the picture has left the page. Stay on it while the film is recorded.");
      draw(figure, !recorder);
      if (!recorder) {
        recorder = new MediaRecorder(canvas.captureStream(), { mimeType: type, videoBitsPerSecond: FILM_BITS });
        recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
        recorder.start();
        draw(figure); // only what is drawn from here on is recorded
      }
      if (waits) waits = await isEncoded(recorder);
      await passed(Math.max(0, FILM_PACE - (performance.now() - began)));
    }
    await passed(FILM_END);
    const stopped = new Promise((done) => { recorder?.addEventListener("stop", done); });
    recorder?.stop();
    if (recorder) await stopped;
  } finally {
    if (recorder?.state === "recording") recorder.stop();
    film.done();
  }
  return new Blob(parts, { type: "video/webm" });
}
