/**
 * An autoencoder: the 64 pixels of a handwritten digit pass through a bottleneck of four numbers, and come out again.
 * The best that a linear map can do with four numbers is known: principal components (Baldi & Hornik 1989), found here
 * by power iteration. A deep network has to do better than those, on digits that neither has seen.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { value } from "downhill";
import { columnOf, split } from "downhill/data";
import { parseCsv } from "downhill/data/csv";
import { linear, mse, sequential, silu } from "downhill/nn";
import { adamW, warmupCosine } from "downhill/optim";
import { fit, predict } from "downhill/train";

const table = parseCsv(gunzipSync(readFileSync("examples/data/digits.csv.gz")));
const pixels = Array.from({ length: 64 }, (_, j) => columnOf(table, `p${j}`).values.map((v) => Number(v) / 16));
const parts = split(table.rows, { seed: 1 });
const mean = pixels.map((p) => parts.train.reduce((a, i) => a + p[i]!, 0) / parts.train.length);
const pictures = (rows: Int32Array) => Array.from(rows, (i) => pixels.map((p, j) => p[i]! - mean[j]!));
const [train, test] = [pictures(parts.train), pictures(parts.test)];

const dot = (a: number[], b: number[]) => a.reduce((z, v, j) => z + v * b[j]!, 0);
const plus = (a: number[], b: number[], times: number) => a.map((v, j) => v + b[j]! * times);
const meanSquare = (rows: number[][]) => rows.reduce((a, x) => a + dot(x, x), 0) / (64 * rows.length);

// A principal component is where x ↦ Σ (x · v) x leads v in the end; take it out of all rows, and look for the next.
const code = 4;
let [left, leftOfTest] = [train, test];
for (let n = 0; n < code; n++) {
  let v = mean.map((_, j) => Math.cos(j));
  for (let t = 0; t < 60; t++) {
    const stretched = left.reduce((sum, x) => plus(sum, x, dot(x, v)), Array<number>(64).fill(0));
    v = stretched.map((z) => z / Math.hypot(...stretched));
  }
  const without = (x: number[]) => plus(x, v, -dot(x, v));
  [left, leftOfTest] = [left.map(without), leftOfTest.map(without)];
}

const encoder = sequential(linear(64, 128), silu, linear(128, 32), silu, linear(32, code));
const decoder = sequential(linear(code, 32), silu, linear(32, 128), silu, linear(128, 64));
const net = sequential(encoder, decoder);
const x = value([train.length, 64], train.flat());
const steps = 3000;
const lr = warmupCosine({ lr: 3e-3, warmup: 100, steps });
const model = await fit({ net, loss: mse, optimizer: adamW(), lr, data: { train: { x, y: x } }, batch: 64, steps });
const { data } = await predict(net, model, value([test.length, 64], test.flat()));
const rebuilt = test.map((_, i) => Array.from(data.subarray(i * 64, (i + 1) * 64)));

const all = meanSquare(test);
const linearly = meanSquare(leftOfTest) / all;
const deeply = meanSquare(test.map((x, i) => plus(x, rebuilt[i]!, -1))) / all;
const percent = (x: number) => `${(100 * x).toFixed(1)} %`;
console.log(`of the variance of ${test.length} held-out digits, ${code} numbers in place of 64 lose`);
console.log(`${percent(linearly)} by principal components, ${percent(deeply)} by the network\n`);

const ink = (v: number) => " .:+*#@"[Math.max(0, Math.min(6, Math.round(6 * v)))]!.repeat(2);
const line = (x: number[], row: number) =>
  plus(x, mean, 1)
    .slice(8 * row, 8 * row + 8)
    .map(ink)
    .join("");
for (const some of [test, rebuilt])
  for (let row = 0; row < 8; row++)
    console.log(
      some
        .slice(0, 5)
        .map((x) => line(x, row))
        .join(" "),
    );
assert.ok(deeply < 0.7 * linearly);
