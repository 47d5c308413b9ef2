/**
 * Linear regression by steepest descent with an exact line search, as Cauchy proposed it in 1847. Along the gradient g
 * a quadratic is lowest after the step gᵀg / gᵀHg, and Hg is a Hessian-vector product: no learning rate, no matrix H.
 * The price is a zig-zag: each step is at right angles to the last, and in the end every other one is parallel.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { hvp, Run, type Tensor, value, valueAndGrad } from "downhill";
import { columnOf, fitEncoder } from "downhill/data";
import { parseCsv } from "downhill/data/csv";

// Compressive strength of concrete from its mixture and age; a column of ones for the constant term.
const table = parseCsv(readFileSync("examples/data/concrete.csv"));
const { encoder } = fitEncoder(table, { exclude: ["compressive_strength"] });
const { x: features, featureNames } = encoder.transform(table);
const n = table.rows;
const d = featureNames.length + 1;
const rows = Array.from({ length: n }, (_, i) => [...features.data.subarray(i * (d - 1), (i + 1) * (d - 1)), 1]);
const strength = columnOf(table, "compressive_strength").values.map(Number);
const data = { x: value([n, d], rows.flat(), "f64"), y: value([n, 1], strength, "f64") };

/** Mean squared error: a quadratic of w. */
const loss = (w: Tensor, { x, y }: { x: Tensor; y: Tensor }) => x.matmul(w).sub(y).square().mean();

const run = await Run.start({ w: value([d, 1], Array(d).fill(0), "f64") });
const descent = run.loop(
  ({ w }, _, data) => {
    const [height, g] = valueAndGrad(loss)(w, data);
    const step = g
      .square()
      .sum()
      .div(hvp(loss, w, g, data).mul(g).sum());
    return { state: { w: w.sub(g.mul(step)) }, output: { height, g, step } };
  },
  { data },
);
const steps = 600;
const { output } = await descent.take(steps, {});
const { w } = run.state();

// The witness: the normal equations XᵀX w = Xᵀy, by Gaussian elimination.
const sum = (f: (i: number) => number) => rows.reduce((total, _, i) => total + f(i), 0);
const a = Array.from({ length: d }, (_, j) => [
  ...Array.from({ length: d }, (_, k) => sum((i) => rows[i]![j]! * rows[i]![k]!)),
  sum((i) => rows[i]![j]! * strength[i]!),
]);
for (let p = 0; p < d; p++) {
  a[p] = a[p]!.map((v) => v / a[p]![p]!);
  for (let r = 0; r < d; r++) if (r !== p) a[r] = a[r]!.map((v, k) => v - a[r]![p]! * a[p]![k]!);
}
const exact = a.map((row) => row[d]!);
const best = sum((i) => (rows[i]!.reduce((z, v, j) => z + v * exact[j]!, 0) - strength[i]!) ** 2) / n;

const g = (k: number) => Array.from(output.g.data.subarray(k * d, (k + 1) * d));
const dot = (u: number[], v: number[]) => v.reduce((z, x, j) => z + x * u[j]!, 0);
const cosine = (k: number, l: number) => dot(g(k), g(l)) / Math.sqrt(dot(g(k), g(k)) * dot(g(l), g(l)));
for (const k of [0, 1, 10, 50, 100, 200]) {
  const above = (output.height.data[k]! - best).toExponential(2);
  const angles = `cos(g, next) ${cosine(k, k + 1).toFixed(6)}, cos(g, after next) ${cosine(k, k + 2).toFixed(6)}`;
  console.log(`step ${String(k).padStart(3)}: ${above} above the least error; ${angles}`);
}
for (const [j, name] of [...featureNames, "constant"].entries())
  console.log(`${name.padEnd(20)} ${w.data[j]!.toFixed(6).padStart(10)}, exactly ${exact[j]!.toFixed(6).padStart(10)}`);

assert.ok(Math.max(...exact.map((v, j) => Math.abs(v - w.data[j]!))) < 1e-6);
assert.ok(Math.abs(cosine(100, 101)) < 1e-8 && cosine(200, 202) > 0.99);
