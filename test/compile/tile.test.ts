/** Kernels that read across memory: which are cut, and that they make the same. */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/compile.ts";
import { input, type Tensor } from "../../src/ir/index.ts";
import { jit } from "../../src/run/jit.ts";
import { backends } from "../backends.ts";
import { distance, draw } from "../ir/numbers.ts";

const turned = (x: Tensor) => x.permute([1, 0]).mul(2);
const loops = (of: (x: Tensor) => Tensor, shape: readonly number[]) => {
  const x = input(shape);
  return compile({ state: [], resident: [x], feeds: [], outputs: [of(x)] }).kernels.map((k) => k.loops.map((l) => l.n));
};

test("a large matrix is turned in columns of 16", () => expect(loops(turned, [512, 300])).toEqual([[32, 300, 16]]));
test("a run of memory is as long as a line", () =>
  expect(loops((x) => x.permute([2, 1, 0]).mul(2), [9, 512, 300])).toEqual([[256, 300, 2, 9]]));
test("a small one fits the cache as it is", () => expect(loops(turned, [128, 300])).toEqual([[300, 128]]));
test("what is read as it is written stays one loop", () =>
  expect(loops((x) => x.mul(2), [512, 300])).toEqual([[153600]]));
test("a prime number of columns is left alone", () => expect(loops(turned, [521, 300])).toEqual([[300, 521]]));

describe.each(backends)("on %s", (backend) => {
  test.each([
    [512, 300],
    [300, 512],
  ])("%i × %i turned", async (rows, columns) => {
    const x = draw([rows, columns], "f64");
    const y = await jit((x: Tensor) => x.permute([1, 0]).add(x.reshape([columns, rows])), { backend })(x);
    const want = Array.from(y.data, (_, k) => x.data[(k % rows) * columns + Math.floor(k / rows)]! + x.data[k]!);
    expect(distance(y.data, want)).toBe(0);
  });
});
