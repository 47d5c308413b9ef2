/** Flops and bytes of kernels, against what one counts by hand. */
import { expect, test } from "vitest";
import { compile } from "../../src/compile/compile.ts";
import { costOf } from "../../src/compile/cost.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";

/** One cost per kernel of a program that gives `out`. */
function costs(out: Tensor, resident: readonly Tensor[]) {
  const { kernels, named } = compile({ state: [], resident, feeds: [], outputs: [out] });
  return kernels.map((kernel) => ({ kind: kernel.kind, ...costOf(kernel, named) }));
}

test("a product: two operations per multiply-add, each matrix once", () => {
  const [a, b] = [input([5, 7], "f32", "a"), input([7, 3], "f32", "b")];
  const product = { kind: "contraction", flops: 2 * 5 * 7 * 3, bytes: 4 * (5 * 7 + 7 * 3 + 5 * 3) };
  expect(costs(a.matmul(b), [a, b])[0]).toEqual(product);
});

test("products of a stack share the matrix that is the same for all", () => {
  const [a, b] = [input([4, 5, 7], "f64", "a"), input([4, 7, 3], "f64", "b")];
  const [cost] = costs(a.matmul(b), [a, b]);
  expect(cost).toMatchObject({ flops: 4 * 2 * 5 * 7 * 3, bytes: 8 * 4 * (5 * 7 + 7 * 3 + 5 * 3) });
});

test("a loop: an operation each, what is broadcast is read once", () => {
  const [x, row] = [input([6, 8], "f32", "x"), input([8], "f32", "row")];
  expect(costs(x.mul(row).add(x), [x, row])).toEqual([{ kind: "nest", flops: 2 * 48, bytes: 4 * (48 + 8 + 48) }]);
});

test("a sum joins each element", () => {
  const x = input([6, 8], "f32", "x");
  const all = costs(x.square().sum(), [x]);
  expect(all.reduce((sum, { flops }) => sum + flops, 0)).toBeGreaterThanOrEqual(2 * 48 - 1);
  expect(all[0]!.bytes).toBeGreaterThanOrEqual(4 * 48);
});

test("of a table only the rows that are picked are read", () => {
  const [table, rows] = [input([100, 8], "f32", "table"), input([5], "i32", "rows")];
  expect(costs(table.gather(rows).mul(2), [table, rows])).toEqual([
    { kind: "nest", flops: 5 * 8, bytes: 4 * (5 * 8 + 5 + 5 * 8) },
  ]);
});

test("windows over an image read no more than the image", () => {
  const x = input([10], "f32", "x");
  const [cost] = costs(
    x
      .pad([[1, 1]])
      .shrink([[0, 10]])
      .add(x)
      .add(x.flip([0])),
    [x],
  );
  expect(cost).toMatchObject({ kind: "nest", bytes: 4 * (10 + 10) });
});

test("two sums over the same rows are one walk, and each number is added to both", () => {
  const x = input([512, 40]);
  const outputs = [x.sum([0]), x.square().sum([0])];
  const { kernels, named } = compile({ state: [], resident: [], feeds: [x], outputs });
  const sums = kernels.filter((k) => k.kind === "accumulate");
  expect(sums).toHaveLength(1);
  expect(costOf(sums[0]!, named)).toEqual({ flops: 3 * 512 * 40, bytes: 4 * (512 * 40 + 2 * 40) });
});
