/** Index algebra: merging and splitting axes must leave a linear form, or a matrix product is not recognised as one. */
import { describe, expect, test } from "vitest";
import { Expr, fresh, linear, ravel, unravel } from "../../src/ir/expr.ts";

describe("a reshape and its inverse", () => {
  test.each([
    [
      [50, 784],
      [50, 28, 28],
    ],
    [
      [50, 784],
      [50, 28, 28, 1],
    ],
    [
      [6, 35],
      [2, 3, 5, 7],
    ],
    [
      [4, 30],
      [10, 12],
    ],
  ])("[%s] read as [%s] is the flat index again", (from, to) => {
    fresh(() => {
      const index = from.map((n, k) => Expr.index(`i${k}`, n));
      const flat = ravel(index, from);
      expect(ravel(unravel(flat, to), to)).toBe(flat);
    });
  });

  test("among other terms, such as the offset of a batch", () => {
    fresh(() => {
      const [b, r] = [Expr.index("b", 9), Expr.index("r", 12)];
      const sum = b.mul(100).add(r.div(4).mul(4)).add(b.mul(7)).add(r.mod(4));
      expect(linear(sum)?.of).toEqual(
        new Map([
          ["b", 107],
          ["r", 1],
        ]),
      );
    });
  });

  test("another divisor, another factor or another index is left as it is", () => {
    fresh(() => {
      const [r, q] = [Expr.index("r", 60), Expr.index("q", 60)];
      for (const sum of [
        r.div(4).mul(4).add(r.mod(5)),
        r.div(4).mul(5).add(r.mod(4)),
        r.div(4).mul(8).add(r.mod(4)),
        r.div(4).mul(4).add(q.mod(4)),
      ]) {
        expect(linear(sum)).toBeUndefined();
      }
    });
  });
});
