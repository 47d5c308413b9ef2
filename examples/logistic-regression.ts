/**
 * Logistic regression by steepest descent with nothing but gradients: benign or malignant, from 30 measurements of
 * cells. Armijo's rule (1966) finds each step: halve a bold one until the loss falls by at least a ten-thousandth of
 * what the slope promises. Here all halvings are tried at once, as columns of one matrix product.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { grad, literal, Run, sigmoid, softplus, type Tensor, value } from "downhill";
import { fitEncoder, fitTarget, split } from "downhill/data";
import { parseCsv } from "downhill/data/csv";

const table = parseCsv(readFileSync("examples/data/breast_cancer.csv"));
const target = fitTarget(table, "diagnosis"); // benign 0, malignant 1
const { train, test } = split(table.rows, { seed: 1, classes: target.encode(table).data });
const { encoder } = fitEncoder(table, { rows: train, exclude: ["diagnosis"] });
const d = encoder.featureNames.length + 1;
const part = (rows: Int32Array) => {
  const { data } = encoder.transform(table, { rows }).x;
  const x = Array.from(rows, (_, i) => [...data.subarray(i * (d - 1), (i + 1) * (d - 1)), 1]); // 1: the constant term
  return { x: value([rows.length, d], x.flat(), "f64"), y: value([rows.length, 1], target.encode(table, rows).data) };
};

/** Mean of −log p(y) + ½ μ ‖w‖² for each column of w: f64[d, m] → f64[m]. −log p(y) is softplus(z) − y z. */
const mu = 0.01;
const losses = (w: Tensor, x: Tensor, y: Tensor) => {
  const z = x.matmul(w);
  const misfit = softplus(z)
    .sub(z.mul(y.cast("f64")))
    .mean(0);
  return misfit.add(
    w
      .square()
      .sum(0)
      .mul(mu / 2),
  );
};

const trials = value(
  [16],
  Array.from({ length: 16 }, (_, k) => 64 * 0.5 ** k),
  "f64",
); // 64, 32, 16 …
const run = await Run.start({ w: value([d, 1], Array(d).fill(0), "f64") });
const descent = run.loop(
  ({ w }, _, { x, y }) => {
    const loss = losses(w, x, y).squeeze(0);
    const g = grad((w: Tensor) => losses(w, x, y).squeeze(0))(w);
    const slope = g.square().sum(); // how fast the loss falls along −g
    const steps = literal(trials);
    const low = losses(w.sub(g.mul(steps)), x, y).le(loss.sub(steps.mul(slope).mul(1e-4)));
    const step = low.where(steps, 0).amax(); // the longest that is good enough
    return { state: { w: w.sub(g.mul(step)) }, output: { loss, slope, step }, watch: loss };
  },
  { data: part(train) },
);
const { output } = await descent.take(100, {});
const [loss, slope, step] = [output.loss.data, output.slope.data, output.step.data];
// The loss curves by μ at least, so its minimum lies no deeper than ‖g‖² / 2μ below: a proof, without the minimum.
const gap = (k: number) => slope[k]! / (2 * mu);
for (const k of [0, 1, 2, 5, 10, 50, 99])
  console.log(
    `step ${k}: loss ${loss[k]!.toFixed(6)}, at most ${gap(k).toExponential(1)} too high; went ${step[k]} · g`,
  );

const held = part(test);
const judge = run.loop(({ w }, _, { x }) => ({ output: sigmoid(x.matmul(w)) }), { data: { x: held.x } });
const p = (await judge.take(1, {})).output.data;
const right = held.y.data.filter((y, k) => y === Number(p[k]! > 0.5)).length;
console.log(`${right} of ${test.length} held-out cases right`);

assert.ok(Math.abs(loss[0]! - Math.LN2) < 1e-12);
assert.ok(loss.every((l, k) => k === 0 || l <= loss[k - 1]!));
assert.ok(gap(99) < 1e-8);
assert.ok(right / test.length > 0.9);
