/**
 * The density on a grid by WebGL 2: on a graphics processor a fine picture takes about a millisecond.
 *
 * Functions are those of `single.js`, because the sine of a shader may be wrong by 5e-4.
 */

import { tapeOf } from "./expression.js";
import { shaderText, TEXTURE_WIDTH } from "./glsl.js";
import { layoutOf } from "./parts.js";
import { singleRecorder } from "./single.js";

/** @typedef {import("./branches.js").Numbers} Numbers */

/**
 * @typedef {object} Shader
 * @property {(numbers: Numbers) => void} load
 * @property {(window: import("./service.js").Window, columns: number, rows: number) => Float32Array | null} density
 *   log p in nats at the nodes; null once the context has been lost
 * @property {() => void} end
 */

const MOST_UNITS = 64; // of a layer: each node keeps three numbers of each
const CORNERS = `#version 300 es
void main() {
  gl_Position = vec4(4.0 * float(gl_VertexID & 1) - 1.0, 4.0 * float(gl_VertexID >> 1) - 1.0, 0.0, 1.0);
}`;

/** A canvas that is never shown. @returns {OffscreenCanvas | HTMLCanvasElement} */
function makeCanvas() {
  return typeof OffscreenCanvas === "undefined" ? document.createElement("canvas") : new OffscreenCanvas(1, 1);
}

/** @param {WebGL2RenderingContext} gl @param {number} kind @param {string} text */
function compiled(gl, kind, text) {
  const shader = /** @type {WebGLShader} */ (gl.createShader(kind));
  gl.shaderSource(shader, text);
  gl.compileShader(shader);
  return shader;
}

/** @param {WebGL2RenderingContext} gl @param {string} text */
function programOf(gl, text) {
  const program = gl.createProgram();
  gl.attachShader(program, compiled(gl, gl.VERTEX_SHADER, CORNERS));
  gl.attachShader(program, compiled(gl, gl.FRAGMENT_SHADER, text));
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

/** @param {WebGL2RenderingContext} gl @param {number} unit */
function textureOf(gl, unit) {
  const texture = gl.createTexture();
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
    gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
  }
  return texture;
}

/**
 * Null where the browser has no WebGL 2 with float targets, or not for a flow of this size.
 *
 * @param {import("./message.js").Shape} shape
 * @returns {Shader | null}
 */
export function shaderOf(shape) {
  const layout = layoutOf(shape);
  if (layout.units > MOST_UNITS) return null;
  try {
    const canvas = makeCanvas();
    const gl = /** @type {WebGL2RenderingContext | null} */ (canvas.getContext("webgl2", { antialias: false }));
    if (!gl?.getExtension("EXT_color_buffer_float")) return null;
    return withContext(canvas, gl, shape, layout.count);
  } catch {
    return null;
  }
}

/**
 * @param {OffscreenCanvas | HTMLCanvasElement} canvas
 * @param {WebGL2RenderingContext} gl
 * @param {import("./message.js").Shape} shape
 * @param {number} count
 * @returns {Shader | null}
 */
function withContext(canvas, gl, shape, count) {
  const program = programOf(gl, shaderText(shape, tapeOf(shape.activation.tree, singleRecorder())));
  if (!program) return null;
  gl.useProgram(program);
  textureOf(gl, 0);
  const height = Math.ceil(count / TEXTURE_WIDTH);
  const padded = new Float32Array(TEXTURE_WIDTH * height);
  const target = textureOf(gl, 1);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, target, 0);
  gl.uniform1i(gl.getUniformLocation(program, "numbers"), 0);
  const [corner, spacing] = ["corner", "spacing"].map((name) => gl.getUniformLocation(program, name));
  let size = [0, 0];
  let isLost = false;
  canvas.addEventListener("webglcontextlost", (event) => {
    event.preventDefault();
    isLost = true;
  });
  return {
    load(numbers) {
      padded.set(numbers);
      gl.activeTexture(gl.TEXTURE0);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, TEXTURE_WIDTH, height, 0, gl.RED, gl.FLOAT, padded);
    },
    density([[x0, x1], [y0, y1]], columns, rows) {
      if (size[0] !== columns || size[1] !== rows) {
        size = [columns, rows];
        gl.activeTexture(gl.TEXTURE1);
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, columns, rows, 0, gl.RGBA, gl.FLOAT, null);
        gl.viewport(0, 0, columns, rows);
      }
      gl.uniform2f(corner, x0, y0);
      gl.uniform2f(spacing, (x1 - x0) / Math.max(1, columns - 1), (y1 - y0) / Math.max(1, rows - 1));
      gl.drawArrays(gl.TRIANGLES, 0, 3);
      const pixels = new Float32Array(4 * columns * rows);
      gl.readPixels(0, 0, columns, rows, gl.RGBA, gl.FLOAT, pixels);
      if (isLost || gl.isContextLost() || gl.getError() !== gl.NO_ERROR) return null;
      return Float32Array.from({ length: columns * rows }, (_, i) => pixels[4 * i]);
    },
    end: () => gl.getExtension("WEBGL_lose_context")?.loseContext(),
  };
}
