/** Sums in two stages: which are taken apart, into what, and that they are still the sums. */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/compile.ts";
import { input, literal, type Tensor, value } from "../../src/ir/index.ts";
import { evaluate } from "../../src/run/jit.ts";
import { backends } from "../backends.ts";

/** The shapes of all sums that a program makes. */
function sums(of: (x: Tensor) => Tensor, shape: readonly number[], banded = true): string[] {
  const x = input([...shape]);
  const program = compile({ state: [], resident: [], feeds: [x], outputs: [of(x)] }, { banded });
  return [...program.named.values()].filter((b) => b.tensor.op === "sum").map((b) => `${b.tensor.shape}`);
}

describe("a large sum over the outermost axis", () => {
  test("of all is one per row, then one", () => expect(sums((x) => x.sum(), [256, 100])).toEqual(["256,1", "1,1"]));
  test("of columns is one row per block of rows, then one row", () =>
    expect(sums((x) => x.sum([0]), [4096, 16])).toEqual(["64,1,16", "1,1,16"]));
  test("of columns of what was a batch is one row per member of it", () =>
    expect(sums((x) => x.exp().reshape([768, 32]).sum([0]), [12, 64, 32])).toEqual(["12,1,32", "1,1,32"]));
  test("of a prime number of columns' elements stays one", () =>
    expect(sums((x) => x.sum([0]), [4099, 16])).toEqual(["1,16"]));
  test("of channels over batch and places is one per image, then one", () =>
    expect(sums((x) => x.sum([0, 2, 3]), [64, 8, 14, 14])).toEqual(["64,8,1,1", "1,8,1,1"]));
});

test("rows, small sums and matrix products stay what they are", () => {
  expect(sums((x) => x.sum([1]), [256, 100])).toEqual(["256,1"]);
  expect(sums((x) => x.sum(), [10, 100])).toEqual(["1,1"]);
  expect(sums((x) => x.permute([1, 0]).matmul(x), [1024, 32])).toHaveLength(1);
});

test("nothing is taken apart for a target that walks kernels whole", () =>
  expect(sums((x) => x.sum(), [256, 100], false)).toEqual(["1,1"]));

describe.each(backends)("on %s", (backend) => {
  test.each([
    { shape: [256, 100], over: [0, 1] },
    { shape: [4096, 16], over: [0] },
    { shape: [3, 1, 50, 128], over: [0, 2] },
    { shape: [5000, 8], over: [0] },
    { shape: [40_000], over: [0] },
  ])("the sum of $shape over $over", async ({ shape, over }) => {
    const n = shape.reduce((a, b) => a * b, 1);
    const x = Float32Array.from({ length: n }, (_, k) => Math.sin(k * 0.37) + 0.5);
    const got = await evaluate(literal(value(shape, x)).sum(over), { backend });
    const kept = shape.map((l, k) => (over.includes(k) ? 1 : l));
    const want = new Float64Array(kept.reduce((a, b) => a * b, 1));
    for (let k = 0; k < n; k++) {
      let [rest, at, step] = [k, 0, 1];
      for (let d = shape.length - 1; d >= 0; d--) {
        if (!over.includes(d)) at += (rest % shape[d]!) * step;
        if (!over.includes(d)) step *= shape[d]!;
        rest = Math.floor(rest / shape[d]!);
      }
      want[at]! += x[k]!;
    }
    want.forEach((w, k) => expect(Math.abs(got.data[k]! - w)).toBeLessThan(1e-6 * n));
  });
});
