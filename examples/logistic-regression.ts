/**
 * Logistic regression with nothing but `grad`: benign or malignant, from 30 measurements of cells. No module, no
 * optimizer: the gradient is a tensor like any other, and a step is a subtraction.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { grad, Run, random, sigmoid, softplus, type Tensor, value } from "downhill";

// A table of numbers, standardised column by column, in random order: the file's order says nothing then.
const lines = readFileSync("examples/data/breast_cancer.csv", "utf8").trim().split("\n").slice(1);
const order = random.permutation(lines.length, 1);
const rows = Array.from(order, (k) => lines[k]!.split(","));
const train = 456;
const columns = Array.from({ length: 30 }, (_, j) => {
  const x = rows.map((row) => Number(row[j]));
  const mean = x.slice(0, train).reduce((a, b) => a + b) / train;
  const sd = Math.sqrt(x.slice(0, train).reduce((a, b) => a + (b - mean) ** 2, 0) / train);
  return x.map((v) => (v - mean) / sd);
});
const part = (from: number, to: number) => ({
  x: value(
    [to - from, 30],
    rows.slice(from, to).flatMap((_, i) => columns.map((c) => c[from + i]!)),
  ),
  y: value(
    [to - from, 1],
    rows.slice(from, to).map((row) => Number(row[30] === "malignant")),
  ),
});
const test = part(train, rows.length);

type Model = { w: Tensor; b: Tensor };
const logits = ({ w, b }: Model, x: Tensor) => x.matmul(w).add(b);
/** −log p(y): softplus(z) − y z, with a little ridge so that the weights stay finite. */
const loss = (m: Model, x: Tensor, y: Tensor) => {
  const z = logits(m, x);
  return softplus(z).sub(z.mul(y)).mean().add(m.w.square().sum().mul(1e-3));
};

const run = await Run.start({ w: value([30, 1], Array(30).fill(0)), b: value([1], [0]) });
const descent = run.loop(
  (m, _, { x, y }) => {
    const slope = grad(loss)(m, x, y);
    const state = { w: m.w.sub(slope.w.mul(0.5)), b: m.b.sub(slope.b.mul(0.5)) };
    return { state, output: { loss: loss(m, x, y) } };
  },
  { data: part(0, train) },
);
const { output } = await descent.take(500, {});
const [first, last] = [output.loss.data[0]!, output.loss.data[499]!];
console.log(`loss ${first.toFixed(4)} at first, ${last.toFixed(4)} after 500 steps`);

const judge = run.loop((m, _, { x }) => ({ output: sigmoid(logits(m, x)) }), { data: { x: test.x } });
const { output: p } = await judge.take(1, {});
const right = test.y.data.filter((y, k) => y === Number(p.data[k]! > 0.5)).length;
console.log(`${right} of ${test.y.data.length} held-out cases right`);

assert.ok(Math.abs(first - Math.LN2) < 1e-6);
assert.ok(right / test.y.data.length > 0.9);
