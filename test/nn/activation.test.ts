/** Activations against PyTorch and 50-digit arithmetic: value, slope and slope of the slope, at the seams. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { grad } from "../../src/ir/grad.ts";
import { logSumExp } from "../../src/ir/math.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { value } from "../../src/ir/value.ts";
import * as nn from "../../src/nn/index.ts";
import { hasNative } from "../backends.ts";
import { distance, evaluate, numbers } from "./evaluate.ts";

type Three<T> = { value: T; first: T; second: T };
type Row = { x: (number | string)[] } & Record<"softmax" | "logSoftmax" | "logSumExp", Three<number | number[]> | null>;
type Golden = {
  points: number[];
  cotangent: number[];
  direction: number[];
  pointwise: { name: string; torch: Three<number[]>; exact: Three<(number | null)[]> }[];
  rowwise: Row[];
};
const golden = JSON.parse(readFileSync(new URL("../golden/activations.json", import.meta.url), "utf8")) as Golden;

const pointwise: Record<string, (x: Tensor) => Tensor> = {
  relu: nn.relu,
  leakyRelu: (x) => nn.leakyRelu(x),
  elu: (x) => nn.elu(x),
  tanh: nn.tanh,
  sigmoid: nn.sigmoid,
  softplus: nn.softplus,
  silu: nn.silu,
  gelu: (x) => nn.gelu(x),
  geluTanh: (x) => nn.gelu(x, { approximate: "tanh" }),
};

/** f, f′ and f″ at once. */
function threefold(f: (x: Tensor) => Tensor, x: Tensor) {
  const first = grad((at: Tensor) => f(at).sum());
  return { value: f(x), first: first(x), second: grad((at: Tensor) => first(at).sum())(x) };
}

test("every activation has golden numbers", () => {
  expect(golden.pointwise.map((p) => p.name).sort()).toEqual(Object.keys(pointwise).sort());
});

describe.each(golden.pointwise)("$name", ({ name, torch, exact }) => {
  const args = { x: value([golden.points.length], golden.points, "f64") };
  const f = ({ x }: { x: Tensor }) => threefold(pointwise[name]!, x);

  test.each(["value", "first", "second"] as const)("%s", async (which) => {
    const y = await evaluate(f, args);
    const expected = golden.points.map((_, k) => exact[which][k] ?? torch[which][k]!);
    expect(distance([...y[which].data], expected)).toBeLessThan(1e-12);
  });

  test.runIf(hasNative)("native", async () => {
    const wide = await evaluate(f, args);
    expect(distance(numbers(await evaluate(f, args, "native")), numbers(wide))).toBeLessThan(1e-12);
    const single = await evaluate(f, { x: value([golden.points.length], golden.points) }, "native");
    expect(distance(numbers(single), numbers(wide))).toBeLessThan(2e-6);
  });
});

const along = { softmax: (x: Tensor) => nn.softmax(x), logSoftmax: (x: Tensor) => nn.logSoftmax(x), logSumExp };
const rows = golden.rowwise.flatMap(({ x, ...results }) =>
  // null: torch has no numbers there, ∞ − ∞
  Object.entries(results).flatMap(([name, result]) =>
    result ? [{ name: name as keyof typeof along, x, result }] : [],
  ),
);

test.each(rows)("$name of $x", async ({ name, x, result }) => {
  const f = along[name];
  const args = {
    x: value([1, x.length], x.map(Number), "f64"),
    c: value([3], golden.cotangent, "f64"),
    d: value([3], golden.direction, "f64"),
  };
  const y = await evaluate(({ x, c, d }) => {
    const first = grad((at: Tensor) => (name === "logSumExp" ? f(at).sum() : f(at).mul(c).sum()));
    return { value: f(x), first: first(x), second: grad((at: Tensor) => first(at).mul(d).sum())(x) };
  }, args);
  for (const which of ["value", "first", "second"] as const) {
    const expected = [result[which]].flat().map(Number);
    expect([which, distance([...y[which].data], expected)]).toEqual([which, expect.closeTo(0, 12)]);
  }
});

test("flatten keeps the first axis", async () => {
  const y = await evaluate(({ x }) => nn.flatten(x), {
    x: value(
      [2, 3, 2],
      Array.from({ length: 12 }, (_, i) => i),
    ),
  });
  expect(y.shape).toEqual([2, 6]);
});
