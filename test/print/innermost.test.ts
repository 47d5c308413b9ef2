/**
 * What an innermost loop is rewritten to: conditions against the comparison they stand for at every iteration, and
 * joined, padded and divided rows against sums over plain arrays.
 */
import { describe, expect, test } from "vitest";
import { Expr } from "../../src/ir/expr.ts";
import { grad } from "../../src/ir/grad.ts";
import { concat } from "../../src/ir/math.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { value } from "../../src/ir/value.ts";
import { runs, steady } from "../../src/print/innermost.ts";
import { jit } from "../../src/run/jit.ts";
import { backends } from "../backends.ts";

const n = 96;
const i = Expr.index("i", n);

describe("conditions on the loop", () => {
  const comparisons = (["lt", "le"] as const).flatMap((op) =>
    [-3, -1, 1, 2, 5].flatMap((slope) =>
      [-200, -47, -1, 0, 1, 30, 48, 95, 96, 240].flatMap((offset) => {
        const e = i.mul(slope).add(offset);
        const truth = (x: number) => (op === "lt" ? x < 0 : x <= 0);
        const zero = Expr.int(0);
        return [
          { e: Expr.make(op, [e, zero], null, "bool"), is: (k: number) => truth(slope * k + offset) },
          { e: Expr.make(op, [zero, e], null, "bool"), is: (k: number) => truth(-slope * k - offset) },
        ];
      }),
    ),
  );

  test("each is what it is in every iteration of its run, and the runs are all iterations", () => {
    for (const { e, is } of comparisons) {
      const pieces = runs({ name: "i", n }, [e]);
      expect(pieces.map((p) => p.to)).toEqual([...pieces.slice(1).map((p) => p.from), n]);
      expect(pieces[0]!.from).toBe(0);
      for (const { from, to, of } of pieces) for (let k = from; k < to; k++) expect(of(e).const).toBe(+is(k));
    }
  });

  test("what depends on another loop stays, and so do more runs than are worth it", () => {
    const j = Expr.index("j", 8);
    const other = Expr.make("le", [i, j], null, "bool");
    expect(runs({ name: "i", n }, [other]).map((r) => r.of(other))).toEqual([other]);
    const many = [10, 20, 30, 40, 50, 60, 70].map((k) => i.within(null, k));
    expect(runs({ name: "i", n }, many)).toHaveLength(1);
  });
});

test("a division by what stays the same is a product with one reciprocal; any other division stays", () => {
  const at = (e: Expr) => Expr.make("load", [e, Expr.bool(true)], "b", "f32");
  const [row, element] = [at(Expr.index("j", 8)), at(i)];
  const div = (a: Expr, b: Expr) => Expr.make("div", [a, b], null, "f32");
  const of = steady("i");
  expect(of(div(element, row))).toBe(Expr.make("mul", [element, div(Expr.value(1, "f32"), row)], null, "f32"));
  for (const e of [div(row, element), div(row, row), div(element, element)]) expect(of(e)).toBe(e);
});

describe.each(backends)("%s", (backend) => {
  const [rows, widths] = [3, [17, 32, 40]];
  const width = 89;
  const parts = widths.map((w, p) =>
    value(
      [rows, w],
      Array.from({ length: rows * w }, (_, k) => 1 + ((k * 7 + p) % 11)),
    ),
  );
  const divisors = [2, 0.5, -4];
  const weight = (k: number) => (k % 13) - 6;
  const weights = value(
    [width],
    Array.from({ length: width }, (_, k) => weight(k)),
  );
  // The part that column k of the joined rows comes from, and its column there.
  const origin = (k: number): [number, number] => (k < 17 ? [0, k] : k < 49 ? [1, k - 17] : [2, k - 49]);

  test("rows that are joined and divided, and the gradients of their parts", async () => {
    const of = (xs: Tensor[], by: Tensor, w: Tensor) => concat(xs, 1).div(by).mul(w);
    const step = jit(
      (xs: Tensor[], by: Tensor, w: Tensor) => ({
        y: of(xs, by, w),
        g: grad((x: Tensor[]) => of(x, by, w).square().sum())(xs),
      }),
      { backend },
    );
    const { y, g } = await step(parts, value([rows, 1], divisors), weights);
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < width; k++) {
        const [p, c] = origin(k);
        const at = r * widths[p]! + c;
        const expected = (parts[p]!.data[at]! / divisors[r]!) * weight(k);
        expect(y.data[r * width + k]).toBeCloseTo(expected, 4);
        expect(g[p]!.data[at]).toBeCloseTo((2 * expected * weight(k)) / divisors[r]!, 3);
      }
    }
  });

  test("a divisor of a row that is 0, infinite or no number", async () => {
    const x = [1, -1, 0, Infinity, Number.NaN];
    const by = [0, Infinity, Number.NaN, -2];
    const of = jit((a: Tensor, b: Tensor) => a.div(b), { backend });
    const y = await of(value([1, 5], x), value([4, 1], by));
    expect([...y.data]).toEqual(by.flatMap((b) => x.map((a) => a / b)));
  });
});
