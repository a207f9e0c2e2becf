// The types of all modules, by TypeScript: `node types.js`. Errors of files that `unchecked.txt` lists are left out; a
// file that has none must not be listed.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { relative, resolve } from "node:path";

const ROOT = resolve("../..");
const unchecked = new Set(readFileSync("unchecked.txt", "utf8").split("\n").filter(Boolean));
const { stdout, stderr } = spawnSync("node_modules/.bin/tsc", ["--pretty", "false"], { encoding: "utf8" });
const found = new Set();
const said = [];
let isSaid = true;
for (const line of stdout.split("\n").filter(Boolean)) {
  const place = line.match(/^(\S.*?)\(\d+,\d+\): error/)?.[1];
  if (place) {
    const file = relative(ROOT, resolve(place));
    found.add(file);
    isSaid = !unchecked.has(file);
  } else if (!line.startsWith(" ")) isSaid = true;
  if (isSaid) said.push(line);
}
for (const file of unchecked) if (!found.has(file)) said.push(`${file} has no errors: take it out of unchecked.txt.`);
process.stdout.write(said.map((line) => `${line}\n`).join("") + stderr);
process.exitCode = said.length || stderr ? 1 : 0;
