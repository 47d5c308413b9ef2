/**
 * The workloads' steps compute what PyTorch computes: losses from given weights, whose numbers an integer formula gives
 * (scripts/golden/mlp32.py). PyTorch's weights lie there as [in, out], ours are [out, in].
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { descent, logisticStep, mlpRule, mlpStep } from "../../bench/dense.ts";
import { counting, integers, noise, uniforms } from "../../bench/noise.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import { Run } from "../../src/run/run.ts";
import { backends } from "../backends.ts";

type Spec = { readonly seed: number; readonly shape: number[]; readonly fanIn: number; readonly first: number[] };
type Golden = {
  readonly [name in "mlp32" | "sgd1"]: {
    readonly steps: number;
    readonly tensors: Readonly<Record<string, Spec>>;
    readonly f32: { readonly losses: number[] };
  };
};
const golden = JSON.parse(readFileSync(new URL("../golden/mlp32.json", import.meta.url), "utf8")) as Golden;

/** [in, out] by the formula, transposed to [out, in]; a vector stays. */
function weights({ seed, shape, fanIn, first }: Spec): Value {
  const numbers = Float32Array.from(
    uniforms(
      seed,
      shape.reduce((a, b) => a * b),
    ),
    (u) => (2 * u - 1) / Math.sqrt(fanIn),
  );
  expect([...numbers.subarray(0, 3)]).toEqual(first);
  const [rows, columns] = shape as [number, number];
  if (columns === undefined) return value(shape, numbers);
  return value(
    [columns, rows],
    Float32Array.from(numbers, (_, k) => numbers[(k % rows) * columns + Math.floor(k / rows)]!),
  );
}

/** The largest |a − b|. */
const apart = (a: ArrayLike<number>, b: readonly number[]) => Math.max(...b.map((x, k) => Math.abs(a[k]! - x)));

describe.each(backends)("losses from PyTorch's weights, %s", (backend) => {
  test("20 steps of MLP-32", async () => {
    const { steps, tensors, f32 } = golden.mlp32;
    const { w1, b1, w2, b2, x, labels } = tensors as Record<"w1" | "b1" | "w2" | "b2" | "x" | "labels", Spec>;
    const dense = (w: Spec, b: Spec) => ({ weight: weights(w), bias: weights(b) });
    const params = { layers: [dense(w1, b1), {}, dense(w2, b2)] as const };
    const data = { x: noise(x.seed, x.shape), labels: integers(labels.seed, labels.shape, 10) };
    expect([...data.x.data.subarray(0, 3)]).toEqual(x.first);
    expect([...data.labels.data.subarray(0, 3)]).toEqual(labels.first);
    const run = await Run.start({ params, opt: mlpRule.init(params) }, { backend });
    const loop = run.loop((s, f: { step: Tensor }, d) => mlpStep(s, d.x, d.labels, f.step), { data });
    const { output } = await loop.take(steps, { step: counting(steps) });
    expect(output.loss.data).toHaveLength(20);
    expect(apart(output.loss.data, f32.losses)).toBeLessThan(1e-5);
  });

  test("50 steps of SGD-1", async () => {
    const { steps, tensors, f32 } = golden.sgd1;
    const { w, x, labels } = tensors as Record<"w" | "x" | "labels", Spec>;
    const params = { weight: weights(w), bias: value([1], [0]) };
    const rows = value([steps, 1], integers(labels.seed, labels.shape, 2).data);
    const feeds = { x: value([steps, 1, 100], noise(x.seed, x.shape).data), y: value([steps, 1, 1], rows.data) };
    const run = await Run.start({ params, opt: descent.init(params) }, { backend });
    const loop = run.loop((s, f: { x: Tensor; y: Tensor; step: Tensor }) => logisticStep(s, f.x, f.y, f.step));
    const { output } = await loop.take(steps, { ...feeds, step: counting(steps) });
    expect(output.loss.data).toHaveLength(50);
    expect(apart(output.loss.data, f32.losses)).toBeLessThan(1e-5);
  });
});
