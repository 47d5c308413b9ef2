/** What bands make again: where that saves memory, from what is at hand, and with the same bits. */
import { describe, expect, test } from "vitest";
import { compile, type Options, type Trace } from "../../src/compile/compile.ts";
import { inPrecision } from "../../src/compile/precision.ts";
import { buffersOf, type Program } from "../../src/compile/program.ts";
import { gradients, input, literal, type Tensor, value } from "../../src/ir/index.ts";
import { size } from "../../src/ir/shape.ts";
import { evaluate } from "../../src/run/jit.ts";
import { hasNative } from "../backends.ts";
import { twoLayers } from "./graphs.ts";

/** One step of descent; or, `early`, one that halves the shift, of which the second layer has what is new. */
function trace({ early = false } = {}): Trace {
  const [x, weight, shift] = [input([32, 1, 8, 8]), input([8, 1, 3, 3]), input([8])];
  const half = shift.mul(0.5);
  const loss = twoLayers(x, weight, shift, early ? half : shift);
  const [dw, ds] = gradients(loss, [weight, shift]) as [Tensor, Tensor];
  const state = [
    { now: weight, next: weight.sub(dw) },
    { now: shift, next: early ? half : shift.sub(ds) },
  ];
  return { state, resident: [], feeds: [x], outputs: [loss] };
}

const build = (t: Trace, options: Options) => compile(t, { banded: true, grain: 1, ...options });
/** Kernels that rectify, those of the gradient aside. */
const rectifying = (p: Program) =>
  p.kernels.filter((k) => buffersOf(k, p.named).writes.some((b) => b.tensor.op === "where" && !b.tensor.origin.of));

test("what is rectified after a batch norm is made again for its gradient where it is large, and never lies in memory", () => {
  const [kept, made] = [Number.POSITIVE_INFINITY, 0].map((far) => build(trace(), { far })) as [Program, Program];
  expect([kept, made].map((p) => rectifying(p).length)).toEqual([2, 3]);
  expect(made.temporaryBytes).toBe(kept.temporaryBytes - 4 * 32 * 8 * 8 * 8);
});

test.each(["bf16", "f16"] as const)("what lies in %s is made again in two bytes", (precision) => {
  const [kept, made] = [Number.POSITIVE_INFINITY, 0].map((far) => build(inPrecision(trace(), precision), { far })) as [
    Program,
    Program,
  ];
  const halves = (p: Program) =>
    p.kernels.flatMap((k) => buffersOf(k, p.named).writes.filter((b) => b.tensor.op === precision));
  const again = halves(made).filter((b) => !halves(kept).some((k) => k.name === b.name));
  expect(again.map((b) => [b.storage, b.role])).toEqual([[precision, "scratch"]]);
  expect(made.temporaryBytes).toBe(kept.temporaryBytes - 2 * 32 * 8 * 8 * 8);
});

test("but not where it is small", () => expect(rectifying(build(trace(), {}))).toHaveLength(2));

test("nor where what it is made of is another one by then", () => {
  expect(rectifying(build(trace({ early: true }), { far: 0 }))).toHaveLength(2);
});

describe.skipIf(!hasNative)("the largest of a window is found again", () => {
  const numbers = (shape: readonly number[], f: (k: number) => number) =>
    literal(
      value(
        shape,
        Float32Array.from({ length: size(shape) }, (_, k) => f(k)),
      ),
    );
  // The same two images again and again: of them alone it is the same, and nothing is large.
  const images = (n: number) =>
    numbers([n, 1, 32, 32], (k) => Math.sin((k % 2048) * 0.37) + Math.cos((k % 2048) ** 2 * 0.11));
  const weight = numbers([8, 1, 3, 3], (k) => Math.sin(k * 1.7));
  const shift = numbers([8], (k) => 0.1 * k);
  const slope = (n: number) => gradients(twoLayers(images(n), weight, shift), [weight])[0]!;

  // In 16 bits what is made again lies as the first one does: rounded, or the maximum would be another number.
  test.each(["f32", "bf16"] as const)("in %s: gradients are those of the reference", async (precision) => {
    const [native, reference] = await Promise.all([
      evaluate(slope(precision === "f32" ? 32 : 64), { backend: "native", precision }),
      evaluate(slope(2), { backend: "js", precision }),
    ]);
    reference.data.forEach((v, k) => expect(Math.abs(native.data[k]! - v)).toBeLessThan(1e-5));
    expect(Math.max(...reference.data.map(Math.abs))).toBeGreaterThan(0.01);
  });
});
