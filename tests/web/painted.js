// The points of drawings: `node painted.js` reads {rules, drawings} and writes a picture for each.

import { readFileSync } from "node:fs";
import { fromRow, pictureOf } from "../../app/web/painter/spray.js";

const { rules, drawings } = JSON.parse(readFileSync(0, "utf8"));
const pictures = drawings.map((/** @type {number[][]} */ rows) => pictureOf(rules, rows.map((row) => fromRow(row))));
process.stdout.write(JSON.stringify(pictures));
