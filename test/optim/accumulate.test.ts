/** k micro-batches are one big batch: unequal ones, weighted ones, and with the optimizer behind. */
import { expect, test } from "vitest";
import { type Tensor, type Value, value, valueAndGrad } from "../../src/ir/index.ts";
import { accumulator, adam, update } from "../../src/optim/index.ts";
import { Run } from "../../src/run/run.ts";
import { leaves } from "../../src/tree.ts";
import { distance, feeds } from "./descent.ts";

const n = 10;
const wave = (size: number, phase: number) => Array.from({ length: size }, (_, k) => Math.sin(k * 1.7 + phase) * 2);
const features = wave(n * 3, 0);
const targets = wave(n, 1);
const importance = wave(n, 2).map((x) => x * x + 0.1);
const start = { w: value([3, 1], [0.3, -0.2, 0.1], "f64"), b: value([1], [0.5], "f64") };
type Params = { w: Tensor; b: Tensor };

/** Σ weight · error², each example by its own weight. */
const total = (p: Params, x: Tensor, y: Tensor, weight: Tensor) =>
  x.matmul(p.w).add(p.b).tanh().sub(y).square().mul(weight).sum();

type Batch = { x: Value; y: Value; weight: Value };
/** Examples [from, to) as the feed of one step. */
const batch = (from: number, to: number, weights: readonly number[]): Batch => ({
  x: value([1, to - from, 3], features.slice(from * 3, to * 3), "f64"),
  y: value([1, to - from, 1], targets.slice(from, to), "f64"),
  weight: value([1, to - from, 1], weights.slice(from, to), "f64"),
});

/** Parameters after `steps` steps of Adam on all examples, cut into micro-batches at `cuts`. */
async function trained(cuts: readonly number[], weights: readonly number[], steps = 5): Promise<number[]> {
  const rule = adam();
  const run = await Run.start({ params: start, opt: rule.init(start), so: accumulator.init(start) }, { backend: "js" });
  const gather = run.loop<Batch, object>(({ params, opt, so }, { x, y, weight }) => {
    const [, g] = valueAndGrad(total)(params, x, y, weight);
    return { state: { params, opt, so: accumulator.add(so, g, weight.sum()) }, output: {} };
  });
  const apply = run.loop<ReturnType<typeof feeds>, object>(({ params, opt, so }, { step, lr }) => {
    const [moved, next] = update(rule, accumulator.mean(so), opt, { params, step, lr });
    return { state: { params: moved, opt: next, so: accumulator.clear(so) }, output: {} };
  });
  for (let s = 1; s <= steps; s++) {
    for (const [k, to] of cuts.entries()) await gather.take(1, batch(cuts[k - 1] ?? 0, to, weights));
    await apply.take(
      1,
      feeds(1, () => 0.05, "f64", s),
    );
  }
  return leaves<Value>(run.state().params).flatMap((v) => [...v.data]);
}

const even = Array<number>(n).fill(1);

test.each([
  ["of equal size", [5, 10], even],
  ["with a smaller last one", [4, 8, 10], even],
  ["one by one", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], even],
  ["of weighted examples", [4, 8, 10], importance],
  ["with one of weight 0", [4, 8, 10], importance.map((w, k) => (k < 4 ? 0 : w))],
] as const)("micro-batches %s are the one big batch", async (_, cuts, weights) => {
  const whole = await trained([n], weights);
  expect(distance(await trained(cuts, weights), whole)).toBeLessThan(1e-12);
});

test("the big batch is the mean that the formula says", async () => {
  // One step of Adam from zero moments moves each number by lr · sign of its gradient: the sign of the weighted mean.
  const [w0, ...rest] = await trained([4, 8, 10], importance, 1);
  const [a, b, c, d] = leaves<Value>(start).flatMap((v) => [...v.data]) as [number, number, number, number];
  const gradient = [0, 0, 0, 0];
  for (let k = 0; k < n; k++) {
    const x = [...features.slice(k * 3, k * 3 + 3), 1];
    const y = Math.tanh(x[0]! * a + x[1]! * b + x[2]! * c + d);
    x.forEach((xj, j) => {
      gradient[j]! += 2 * importance[k]! * (y - targets[k]!) * (1 - y * y) * xj;
    });
  }
  const wanted = [a, b, c, d].map((p, j) => p - 0.05 * Math.sign(gradient[j]!));
  expect(distance([w0!, ...rest], wanted)).toBeLessThan(1e-7);
});

test("with nothing added the mean is 0, and clear forgets a NaN", async () => {
  const run = await Run.start({ so: accumulator.init(start) }, { backend: "js" });
  run.load({ so: { sum: { w: value([3, 1], [Number.NaN, 1, 2], "f64"), b: start.b }, weight: value([], [3], "f64") } });
  const loop = run.loop<object, { mean: Params }>(({ so }) => {
    const cleared = accumulator.clear(so);
    return { state: { so: cleared }, output: { mean: accumulator.mean(cleared) } };
  });
  const { output } = await loop.take(1, {});
  expect(leaves<Value>(output.mean).flatMap((v) => [...v.data])).toEqual([0, 0, 0, 0]);
  expect(leaves<Value>(run.state()).flatMap((v) => [...v.data])).toEqual([0, 0, 0, 0, 0]);
});
