/** The arrows of docs/architecture.md hold, and the rules that say so bite. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");

/** Broken rules of the src below `folder`, as "rule: file". */
function violations(folder: string): string[] {
  const depcruise = join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
  const args = [
    "--config",
    join(root, ".dependency-cruiser.cjs"),
    "--progress",
    "none",
    "--output-type",
    "json",
    "src",
  ];
  const { stdout, stderr } = spawnSync(process.execPath, [depcruise, ...args], {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (!stdout.startsWith("{")) throw new Error(`dependency-cruiser did not run: ${stderr}`);
  const { summary } = JSON.parse(stdout) as { summary: { violations: { from: string; rule: { name: string } }[] } };
  return [...new Set(summary.violations.map(({ from, rule }) => `${rule.name}: ${from}`))].sort();
}

const folder = mkdtempSync(join(tmpdir(), "downhill-layers-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("src keeps to the layers", () => {
  expect(violations(root)).toEqual([]);
});

/** A small src: file → [text, rules it breaks]. */
const house: Record<string, [text: string, ...rules: string[]]> = {
  "ir/tensor.ts": ['export { x } from "./ops.ts";\nexport type T = number;'],
  "ir/ops.ts": ['import type { T } from "./tensor.ts";\nexport const x: T = 1;'], // a circle of types alone
  "ir/dtype.ts": ["export const x = 1;"],
  "ir/reaches-out.ts": ['export { x } from "../nn/layer.ts";', "ir-arrows"],
  "ir/takes-a-type.ts": ['import type { X } from "../compile/kernel.ts";\nexport type Y = X;', "ir-arrows"],
  "ir/opens-files.ts": ['import { readFileSync } from "node:fs";\nexport const x = readFileSync;', "ir-builtins"],
  "tree.ts": ['export { x } from "./ir/dtype.ts";', "tree-arrows"],
  "random.ts": ['export { x } from "./ir/tensor.ts";'],
  "compile/kernel.ts": ['export type X = number;\nexport { x } from "../ir/tensor.ts";'],
  "compile/prints.ts": ['export { x } from "../print/names-a-type.ts";', "compile-arrows"],
  "print/names-a-type.ts": ['import type { X } from "../compile/kernel.ts";\nexport const x: X = 1;'],
  "print/runs-the-compiler.ts": ['export { x } from "../compile/kernel.ts";', "print-types-of-compile"],
  "run/native.ts": ['import "node:os";\nexport { x } from "../compile/kernel.ts";'],
  "run/trains.ts": ['export { x } from "../optim/rule.ts";', "run-arrows"],
  "nn/layer.ts": ['export { x } from "../ir/tensor.ts";'],
  "nn/knows-a-backend.ts": ['export { x } from "../run/native.ts";', "nn-arrows"],
  "optim/rule.ts": ['export { x } from "../ir/tensor.ts";'],
  "optim/prints-colours.ts": ['import pico from "picocolors";\nexport const x = pico;', "optim-packages"],
  "data/split.ts": ['export { x } from "../ir/dtype.ts";'],
  "data/traces.ts": ['export { x } from "../ir/tensor.ts";', "data-arrows"],
  "data/files.ts": ['import "node:fs";\nexport const x = 1;'],
  "data/opens-files.ts": ['import "node:fs";\nexport const x = 1;', "data-builtins"],
  "data/csv.ts": ['import pico from "picocolors";\nexport const x = pico;'],
  "train/fit.ts": ['export { x } from "../nn/layer.ts";\nexport { y } from "./loop.ts";', "no-circles"],
  "train/loop.ts": ['export { x } from "./fit.ts";\nexport const y = 1;'], // a circle is reported once, where it is met
  "train/asks-the-shell.ts": ['export { x } from "../cli/main.ts";', "train-arrows"],
  "cli/main.ts": ['import "node:fs";\nimport "picocolors";\nexport { x } from "../nn/layer.ts";'],
  "cli/mistypes.ts": ['export { x } from "./nowhere.ts";', "declared", "resolvable"],
  "index.ts": ['export { x } from "./nn/layer.ts";'],
  "attic/no-such-layer.ts": ['export { x } from "../nn/layer.ts";', "known-layers"],
};

test("each forbidden arrow is found, and nothing else", () => {
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  };
  write("package.json", JSON.stringify({ type: "module", dependencies: { picocolors: "1" } }));
  write("tsconfig.json", JSON.stringify({ compilerOptions: { module: "nodenext", allowImportingTsExtensions: true } }));
  write("node_modules/picocolors/package.json", JSON.stringify({ name: "picocolors", main: "index.js" }));
  write("node_modules/picocolors/index.js", "module.exports = {};");
  for (const [file, [text]] of Object.entries(house)) write(`src/${file}`, text);

  const expected = Object.entries(house).flatMap(([file, [, ...rules]]) => rules.map((rule) => `${rule}: src/${file}`));
  expect(violations(folder)).toEqual(expected.sort());
});
