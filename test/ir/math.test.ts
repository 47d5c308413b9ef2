/** Composites against PyTorch's and mpmath's numbers (test/golden/activations.json), and against their definitions. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  argmax,
  clip,
  concat,
  cumulativeSum,
  elu,
  gelu,
  gradients,
  hvp,
  leakyRelu,
  lerp,
  literal,
  logSoftmax,
  logSumExp,
  norm,
  oneHot,
  pick,
  power,
  relu,
  sigmoid,
  silu,
  softmax,
  softplus,
  split,
  stack,
  type Tensor,
  take,
  tanh,
  type Value,
  value,
  variance,
} from "../../src/ir/index.ts";
import { jit } from "../../src/run/jit.ts";
import { backends } from "../backends.ts";
import { distance, draw, some } from "./numbers.ts";

type Slopes = { value: number[] | number; first: number[]; second: number[] };
type Golden = {
  points: number[];
  cotangent: number[];
  direction: number[];
  pointwise: { name: string; torch: Slopes; exact: { [K in keyof Slopes]: (number | null)[] } }[];
  rowwise: ({ x: (number | string)[] } & { [name: string]: Slopes | null })[];
};
const golden = JSON.parse(readFileSync(new URL("../golden/activations.json", import.meta.url), "utf8")) as Golden;

const pointwise: Record<string, (x: Tensor) => Tensor> = {
  relu,
  leakyRelu: (x) => leakyRelu(x),
  elu: (x) => elu(x),
  tanh,
  sigmoid,
  softplus,
  silu,
  gelu: (x) => gelu(x),
  geluTanh: (x) => gelu(x, { approximate: "tanh" }),
};
const rowwise: Record<string, (x: Tensor) => Tensor> = {
  softmax: (x) => softmax(x),
  logSoftmax: (x) => logSoftmax(x),
  logSumExp: (x) => logSumExp(x),
};
const list = (v: Value) => [...v.data];

describe.each(backends)("%s", (backend) => {
  test("activations: value, slope and curvature at the seams", async () => {
    const f = (x: Tensor) =>
      Object.fromEntries(
        golden.pointwise.map(({ name }) => {
          const y = pointwise[name]!(x);
          const first = gradients(y.sum(), [x])[0]!;
          return [name, [y, first, gradients(first.sum(), [x])[0]!]];
        }),
      );
    const got = (await jit(f, { backend })(value([golden.points.length], golden.points, "f64"))) as Record<
      string,
      Value[]
    >;
    for (const { name, torch, exact } of golden.pointwise) {
      (["value", "first", "second"] as const).forEach((what, n) => {
        // Where there is no derivative, PyTorch's convention; elsewhere the exact number, which PyTorch may miss.
        const want = exact[what].map((x, k) => x ?? (torch[what] as number[])[k]!);
        expect(distance(got[name]![n]!.data, want), `${what} of ${name}: ${got[name]![n]!.data}`).toBeLessThan(1e-13);
      });
    }
  });

  test("along rows: values, gradients and second derivatives", async () => {
    const cotangent = literal(value([3], golden.cotangent, "f64"));
    const direction = literal(value([3], golden.direction, "f64"));
    const f = (rows: Tensor[]) =>
      rows.map((x) =>
        Object.fromEntries(
          Object.entries(rowwise).map(([name, g]) => {
            const loss = (z: Tensor) => (name === "logSumExp" ? g(z) : g(z).mul(cotangent)).sum();
            return [name, [g(x), gradients(loss(x), [x])[0]!, hvp(loss, x, direction)]];
          }),
        ),
      );
    const rows = golden.rowwise.map(({ x }) => value([3], x.map(Number), "f64"));
    const got = (await jit(f, { backend })(rows)) as Record<string, Value[]>[];
    golden.rowwise.forEach((row, k) => {
      for (const name of Object.keys(rowwise)) {
        const want = row[name];
        if (!want) continue;
        const ours = got[k]![name]!.map(list);
        expect(
          distance(ours.flat(), [want.value, want.first, want.second].flat()),
          `${name} of ${row.x}: ${ours}`,
        ).toBeLessThan(1e-13);
      }
    });
  });

  test("statistics, norms, powers against their definitions", async () => {
    const x = draw([3, 4], "f64");
    const f = (x: Tensor) => ({
      biased: variance(x, 1),
      unbiased: variance(x, 0, { correction: 1 }),
      all: variance(x),
      mean: x.mean(1),
      norm: norm(x, 1),
      whole: norm(x),
      fifth: power(x, 5),
      inverse: power(x, -2),
      root: power(x.abs(), 2.5),
      clipped: clip(x, -0.25, 0.5),
      least: x.amin(0),
      cumulative: [cumulativeSum(x, 0), cumulativeSum(x, 1)],
      between: lerp(x, x.mul(3), 0.25),
    });
    const got = await jit(f, { backend })(x);
    const rows = [0, 1, 2].map((i) => list(x).slice(4 * i, 4 * i + 4));
    const columns = [0, 1, 2, 3].map((j) => rows.map((r) => r[j]!));
    const mean = (v: number[]) => v.reduce((a, b) => a + b) / v.length;
    const spread = (v: number[], correction: number) =>
      v.reduce((s, a) => s + (a - mean(v)) ** 2, 0) / (v.length - correction);
    const close = (v: Value, want: number[]) => expect(distance(v.data, want)).toBeLessThan(1e-14);
    close(
      got.biased,
      rows.map((r) => spread(r, 0)),
    );
    close(
      got.unbiased,
      columns.map((c) => spread(c, 1)),
    );
    close(got.all, [spread(rows.flat(), 0)]);
    close(got.mean, rows.map(mean));
    close(
      got.norm,
      rows.map((r) => Math.hypot(...r)),
    );
    close(got.whole, [Math.hypot(...rows.flat())]);
    close(
      got.fifth,
      list(x).map((a) => a ** 5),
    );
    expect(
      distance(
        got.inverse.data,
        list(x).map((a) => a ** -2),
      ),
    ).toBeLessThan(1e-13);
    close(
      got.root,
      list(x).map((a) => Math.abs(a) ** 2.5),
    );
    close(
      got.clipped,
      list(x).map((a) => Math.min(Math.max(a, -0.25), 0.5)),
    );
    close(
      got.least,
      columns.map((c) => Math.min(...c)),
    );
    const running = (v: number[]) => v.map((_, k) => v.slice(0, k + 1).reduce((a, b) => a + b));
    close(got.cumulative[1]!, rows.flatMap(running));
    close(
      got.cumulative[0]!,
      [0, 1, 2].flatMap((i) => columns.map((c) => running(c)[i]!)),
    );
    close(
      got.between,
      list(x).map((a) => 1.5 * a),
    );
  });

  test("indices: argmax, oneHot, pick, take", async () => {
    const x = draw([2, 3, 4], "f64");
    const f = (x: Tensor, at: Tensor, rows: Tensor) => ({
      best: [argmax(x, 0), argmax(x, 1), argmax(x)],
      hot: oneHot(at, 4, "f64"),
      picked: pick(x, at),
      rows: take(x.reshape([6, 4]), rows),
    });
    const at = value([2, 3], [0, 3, 1, 2, 2, 1], "u32");
    const got = await jit(f, { backend })(x, at, value([2, 2], [5, 0, 0, 3], "i32"));
    const number = (i: number, j: number, k: number) => x.data[12 * i + 4 * j + k]!;
    const best = (v: number[]) => v.indexOf(Math.max(...v));
    const pairs = [0, 1].flatMap((i) => [0, 1, 2].map((j) => [i, j] as const));
    expect(list(got.best[2]!)).toEqual(pairs.map(([i, j]) => best([0, 1, 2, 3].map((k) => number(i, j, k)))));
    expect(list(got.best[1]!)).toEqual(
      [0, 1].flatMap((i) => [0, 1, 2, 3].map((k) => best([0, 1, 2].map((j) => number(i, j, k))))),
    );
    expect(list(got.best[0]!)).toEqual(
      [0, 1, 2].flatMap((j) => [0, 1, 2, 3].map((k) => best([0, 1].map((i) => number(i, j, k))))),
    );
    expect(list(got.hot)).toEqual(list(at).flatMap((c) => [0, 1, 2, 3].map((k) => +(k === c))));
    expect(list(got.picked)).toEqual(pairs.map(([i, j]) => number(i, j, at.data[3 * i + j]!)));
    expect(list(got.rows)).toEqual([5, 0, 0, 3].flatMap((r) => list(x).slice(4 * r, 4 * r + 4)));
  });

  test("joining and cutting", async () => {
    const [a, b] = [value([2, 2], [1, 2, 3, 4], "f64"), value([2, 1], [Infinity, -1], "f64")];
    const f = (a: Tensor, b: Tensor, i: Tensor) => ({
      joined: concat([a, b, a], 1),
      below: concat([a, a.mul(10)]),
      stacked: stack([a, a.mul(10)], -1),
      parts: split(a, [1, 0, 1], 1),
      back: concat(split(a, [1, 1], 0), -2),
      whole: concat([i, i.mul(2)]),
      slice: a.slice(1, -1),
    });
    const got = await jit(f, { backend })(a, b, value([2], [7, 8], "i32"));
    expect(list(got.joined)).toEqual([1, 2, Infinity, 1, 2, 3, 4, -1, 3, 4]);
    expect(list(got.below)).toEqual([1, 2, 3, 4, 10, 20, 30, 40]);
    expect([got.stacked.shape, list(got.stacked)]).toEqual([
      [2, 2, 2],
      [1, 10, 2, 20, 3, 30, 4, 40],
    ]);
    expect(got.parts.map((p) => [p.shape, list(p)])).toEqual([
      [
        [2, 1],
        [1, 3],
      ],
      [[2, 0], []],
      [
        [2, 1],
        [2, 4],
      ],
    ]);
    expect(list(got.back)).toEqual([1, 2, 3, 4]);
    expect(list(got.whole)).toEqual([7, 8, 14, 16]);
    expect(list(got.slice)).toEqual([2, 4]);
  });

  test("fold is the transpose of window: ⟨window x, y⟩ = ⟨x, fold y⟩", async () => {
    for (const [size, stride, dilation] of [
      [3, 1, 1],
      [3, 2, 1],
      [2, 3, 2],
      [4, 4, 1],
      [17, 1, 1],
      [18, 3, 1],
      [17, 2, 2],
    ]) {
      const w = { axis: 1, size: size!, stride: stride!, dilation: dilation! };
      const f = (x: Tensor) => {
        const windows = x.window(w);
        const y = literal(
          value(
            windows.shape,
            some(
              windows.shape.reduce((a, n) => a * n),
              -1,
              1,
              5,
            ),
            "f64",
          ),
        );
        return [windows.mul(y).sum(), x.mul(y.fold(w, 40)).sum()];
      };
      const [left, right] = await jit(f, { backend })(draw([2, 40], "f64"));
      expect(distance(left!.data, right!.data)).toBeLessThan(1e-13);
    }
  });
});
