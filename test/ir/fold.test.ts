/** Windows of products folded: the gradient of a convolution is one, and is asked for by nodes on the way. */
import { describe, expect, test } from "vitest";
import { vjp } from "../../src/ir/grad.ts";
import { topo } from "../../src/ir/graph.ts";
import { input, scalar, type Tensor } from "../../src/ir/index.ts";
import { naive } from "./naive.ts";
import { distance, draw } from "./numbers.ts";

/** y[n, o, p] = Σ windows(x)[n, c, p, j] · w[o, c, j]   x: f64[2, 3, n], w: f64[4, 3, k] */
function windowed(x: Tensor, w: Tensor, stride: number, dilation: number): Tensor {
  const [o, c, k] = w.shape as [number, number, number];
  const windows = x.window({ axis: 2, size: k, stride, dilation });
  return windows
    .unsqueeze(1)
    .mul(w.reshape([1, o, c, 1, k]))
    .sum([2, 4])
    .reshape([2, o, -1]);
}

describe.each([
  { n: 9, k: 3, stride: 1, dilation: 1 },
  { n: 9, k: 3, stride: 1, dilation: 2 },
  { n: 9, k: 3, stride: 2, dilation: 1 },
  { n: 10, k: 3, stride: 2, dilation: 1 },
  { n: 11, k: 5, stride: 3, dilation: 1 },
  { n: 9, k: 2, stride: 2, dilation: 1 },
  { n: 9, k: 3, stride: 2, dilation: 2 },
  { n: 3, k: 3, stride: 1, dilation: 1 },
])("windows of $k taps, stride $stride, dilation $dilation, over $n", ({ n, k, stride, dilation }) => {
  const [x, w] = [input([2, 3, n], "f64"), input([4, 3, k], "f64")];
  const y = windowed(x, w, stride, dilation);
  const dy = input(y.shape, "f64");
  const given = new Map([x, w, dy].map((t, k) => [t, [...draw(t.shape, "f64", -1, 1, 9 * k).data]]));

  test("the slope by the input is that of plain loops", () => {
    const want = new Array(6 * n).fill(0);
    const [ws, ds] = [given.get(w)!, given.get(dy)!];
    const places = y.shape[2]!;
    for (let b = 0; b < 2; b++)
      for (let o = 0; o < 4; o++)
        for (let p = 0; p < places; p++)
          for (let c = 0; c < 3; c++)
            for (let j = 0; j < k; j++) {
              want[(b * 3 + c) * n + p * stride + j * dilation] +=
                ds[(b * 4 + o) * places + p]! * ws[(o * 3 + c) * k + j]!;
            }
    expect(distance(naive(vjp(y, [x], dy), given)[0]!, want)).toBeLessThan(1e-13);
  });

  test("a second slope, by what came back and by the weight, is that of finite differences", () => {
    const [dx] = vjp(y, [x], dy);
    const v = input(x.shape, "f64");
    given.set(v, [...draw(v.shape, "f64", -1, 1, 40).data]);
    const f = (at: ReadonlyMap<Tensor, readonly number[]>) => naive([dx!.mul(v).sum()], at)[0]![0]!;
    const slopes = naive(vjp(dx!.mul(v).sum(), [dy, w], scalar(1, "f64")), given);
    [dy, w].forEach((t, side) => {
      const at = given.get(t)!;
      const want = at.map((_, k) => {
        const moved = (h: number) => f(new Map([...given, [t, at.with(k, at[k]! + h)]]));
        return moved(0.5) - moved(-0.5); // linear in each
      });
      expect(distance(slopes[side]!, want)).toBeLessThan(1e-12);
    });
  });
});

test("windows that overlap are not made one by one: nothing is as large as all of them", () => {
  const [x, w, dy] = [input([2, 3, 64]), input([4, 3, 5]), input([2, 4, 60])];
  const [dx] = vjp(windowed(x, w, 1, 1), [x], dy);
  const sums = topo([dx!]).filter((t) => t.op === "sum");
  expect(sums.map((t) => t.shape.filter((n) => n > 1))).toEqual([[2, 3, 64]]);
});

test("a cotangent that is itself a product keeps its gradient", () => {
  const [a, b] = [input([2, 1, 5, 3], "f64"), input([1, 4, 1, 3], "f64")];
  const x = input([2, 4, 7], "f64");
  const wide = a.expand([2, 4, 5, 3]);
  const product = wide.mul(b);
  const [dx] = vjp(x.window({ axis: 2, size: 3, stride: 1, dilation: 1 }), [x], product);
  const given = new Map([a, b].map((t, k) => [t, [...draw(t.shape, "f64", -1, 1, 3 * k).data]]));
  const slopes = vjp(dx!.square().sum(), [product, wide, a], scalar(1, "f64"));
  const of = naive(slopes, given);
  // The slope by the product is windows of 2 dx; by a it is summed over what a was spread over.
  const dxs = naive([dx!], given)[0]!;
  const want: number[] = [];
  for (let r = 0; r < 8; r++)
    for (let p = 0; p < 5; p++) for (let j = 0; j < 3; j++) want.push(2 * dxs[r * 7 + p + j]!);
  expect(distance(of[0]!, want)).toBeLessThan(1e-13);
  expect(of[1]!.some((d) => d !== 0)).toBe(true);
  expect(of[2]!.some((d) => d !== 0)).toBe(true);
});
