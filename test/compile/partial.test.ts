/** Sums in two stages: which are taken apart, into what, and that they are still the sums. */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/compile.ts";
import { partialSums } from "../../src/compile/partial.ts";
import { buffersOf } from "../../src/compile/program.ts";
import { fresh } from "../../src/ir/expr.ts";
import { topo, unify } from "../../src/ir/graph.ts";
import { gradients, input, iota, literal, type Tensor, value } from "../../src/ir/index.ts";
import { variance } from "../../src/ir/math.ts";
import { apply, conv2d } from "../../src/nn/index.ts";
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
  expect(sums((x) => x.permute([1, 0]).matmul(x).exp(), [1024, 32])).toHaveLength(1);
});

describe("the gradient of a convolution's weight", () => {
  /** dW of y = x ∗ W for dy, by the windows of x: f32[c, 1, 3, 3] of x[n, 1, h, w] with one zero around each image. */
  const gradient = ([n, h, w]: readonly number[], c: number) => {
    const x = input([n!, 1, h!, w!]);
    const dy = input([n!, c, h!, w!]);
    const layer = conv2d(1, c, 3, { padding: 1, bias: false });
    const of = (x: Tensor, dy: Tensor) => {
      const W = literal(value([c, 1, 3, 3], new Float32Array(9 * c)));
      return gradients(
        apply(layer, { params: { weight: W } }, x)[0]
          .mul(dy)
          .sum(),
        [W],
      )[0]!;
    };
    return { x, dy, of };
  };
  const bandsOf = (shape: readonly number[], c = 8) => {
    const { x, dy, of } = gradient(shape, c);
    const { bands } = compile({ state: [], resident: [], feeds: [x, dy], outputs: [of(x, dy)] }, { banded: true });
    return bands.flatMap((b) => (b.members.some((m) => m.kernel.kind === "contraction") ? [b.slices] : []));
  };
  test("is made image by image, where images are large", () => expect(bandsOf([64, 28, 28])).toEqual([64]));
  test("or some of them at a time", () => expect(bandsOf([64, 14, 28])).toEqual([32]));
  test("but not where a part would be many images, or the parts few, or large", () => {
    for (const [shape, c, parts] of [
      [[256, 7, 7], 8, 16],
      [[6, 28, 28], 8, 6],
      [[64, 28, 28], 4096, 64],
    ] as const) {
      expect(bandsOf(shape, c)).not.toContain(parts);
    }
  });

  test.each(
    backends.flatMap((backend) =>
      [
        [16, 28, 28],
        [16, 14, 28],
      ].map((shape) => ({ backend, shape })),
    ),
  )("of $shape images on $backend is that of plain loops", async ({ backend, shape }) => {
    const [n, h, w] = shape as [number, number, number];
    const x = Float32Array.from({ length: n * h * w }, (_, k) => Math.sin(k * 0.37));
    const dy = Float32Array.from({ length: n * 8 * h * w }, (_, k) => Math.cos(k * 0.73));
    const { of } = gradient(shape, 8);
    const got = await evaluate(of(literal(value([n, 1, h, w], x)), literal(value([n, 8, h, w], dy))), { backend });
    for (let c = 0; c < 8; c++) {
      for (let tap = 0; tap < 9; tap++) {
        let want = 0;
        for (let at = 0; at < n * h * w; at++) {
          const row = (Math.floor(at / w) % h) + Math.floor(tap / 3) - 1;
          const column = (at % w) + (tap % 3) - 1;
          const image = Math.floor(at / (h * w));
          if (row < 0 || row >= h || column < 0 || column >= w) continue;
          want += x[(image * h + row) * w + column]! * dy[(image * 8 + c) * h * w + (at % (h * w))]!;
        }
        expect(Math.abs(got.data[9 * c + tap]! - want)).toBeLessThan(1e-3);
      }
    }
  });
});

describe("a variance", () => {
  const batchNorm = (x: Tensor) => variance(x.add(iota(8).cast("f32").reshape([1, 8, 1, 1])), [0, 2, 3]);
  test("is made of each image's own, and no walk over memory waits for the mean", () => {
    const x = input([64, 8, 14, 14]);
    const { bands, named } = compile(
      { state: [], resident: [], feeds: [x], outputs: [batchNorm(x)] },
      { banded: true },
    );
    const reading = bands.filter((b) =>
      b.members.some((m) => buffersOf(m.kernel, named).reads.some((r) => r.tensor === x)),
    );
    expect(reading).toHaveLength(1);
    expect(sums(batchNorm, [64, 8, 14, 14])).toEqual(["64,8,1,1", "64,8,1,1", "1,8,1,1", "64,8,1,1", "1,8,1,1"]);
  });
  test("of a sum of very many is one of their sum", () => {
    const [x, y] = [input([256, 64]), input([256, 64])];
    let sum = x;
    for (let n = 0; n < 20_000; n++) sum = sum.add(y);
    const taken = unify(fresh(() => partialSums([variance(sum, [0])])));
    const around = topo(taken).filter((t) => t.op === "sum" && t.shape.join() === "8,1,64");
    expect(around).toHaveLength(3); // the sum itself, and around each part's mean, squared and not
  });
  test("around another number than the mean stays a sum of squares", () =>
    expect(
      sums(
        (x) =>
          x
            .sub(literal(value([1, 16], new Float32Array(16))))
            .square()
            .sum([0]),
        [4096, 16],
      ),
    ).toEqual(["64,1,16", "1,1,16"]));
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

  // JavaScript, which adds one after the other, loses more of such a mean than is asked for here.
  test.skipIf(backend === "js").each([
    { shape: [64, 8, 14, 14], over: [0, 2, 3], channel: (k: number) => Math.floor(k / 196) % 8 },
    { shape: [4096, 8], over: [0], channel: (k: number) => k % 8 },
  ])("a variance of $shape over $over, of numbers that are far from 0 and close together", async (c) => {
    const n = c.shape.reduce((a, b) => a * b, 1);
    for (const [mean, spread] of [
      [0.5, 1],
      [1000.123, 0.1],
      [-12345.678, 0.05],
    ] as const) {
      const x = Float32Array.from({ length: n }, (_, k) => mean + spread * Math.sin(k * 0.37 + c.channel(k)));
      const moments = (f: (v: number, c: number) => number) => {
        const all = new Float64Array(8);
        x.forEach((v, k) => {
          all[c.channel(k)]! += (8 / n) * f(v, c.channel(k));
        });
        return all;
      };
      const means = moments((v) => v);
      const want = moments((v, channel) => (v - means[channel]!) ** 2);
      const got = await evaluate(variance(literal(value(c.shape, x)), c.over), { backend });
      // What a mean of so many is off, some units in its last place, is in the square as well.
      want.forEach((v, k) => expect(Math.abs(got.data[k]! - v)).toBeLessThan(2e-6 * v + (4 * mean * 2 ** -24) ** 2));
    }
  });

  test("sums and largest numbers of the same rows, which are two walks, and sums of two kinds, which are one", async () => {
    const numbers = Float32Array.from({ length: 512 * 40 }, (_, k) => Math.sin(k * 0.37) - 2);
    const x = literal(value([512, 40], numbers));
    const column = (j: number) => [...numbers.filter((_, k) => k % 40 === j)];
    const got = await evaluate({ sum: x.sum([0]), squares: x.mul(x).sum([0]), most: x.amax([0]) }, { backend });
    for (const j of [0, 17, 39]) {
      const want = column(j);
      expect(Math.abs(got.sum.data[j]! - want.reduce((a, b) => a + b))).toBeLessThan(1e-3);
      expect(Math.abs(got.squares.data[j]! - want.reduce((a, b) => a + b * b, 0))).toBeLessThan(5e-3);
      expect(got.most.data[j]).toBe(Math.max(...want));
    }
  });

  test("what is around its mean times something else is no sum of squares", async () => {
    const n = 256 * 100;
    const x = value(
      [256, 100],
      Float32Array.from({ length: n }, (_, k) => Math.sin(k * 0.37)),
    );
    const y = literal(x);
    const around = y.sub(y.mean());
    const [got] = await evaluate([around.mul(y.cos()).sum().reshape([1])], { backend });
    const mean = x.data.reduce((sum, v) => sum + v, 0) / n;
    const want = x.data.reduce((sum, v) => sum + (v - mean) * Math.cos(v), 0);
    expect(Math.abs(got!.data[0]! - want)).toBeLessThan(0.05);
  });
  test("a variance of numbers that are all the same has a root", async () => {
    const numbers = (k: number) => 0.1 + 0.37 * (Math.floor(k / 49) % 16);
    const x = Float32Array.from({ length: 64 * 16 * 49 }, (_, k) => numbers(k));
    const got = await evaluate(variance(literal(value([64, 16, 7, 7], x)), [0, 2, 3]).sqrt(), { backend });
    got.data.forEach((v, k) => {
      expect(v).toBeGreaterThanOrEqual(0);
      expect(v).toBeLessThan(1e-5 * numbers(49 * k));
    });
  });

  test("a variance of what is not finite is none", async () => {
    const x = new Float32Array(64 * 8 * 49).fill(1);
    x[7 * 392 + 49] = Number.POSITIVE_INFINITY; // channel 1
    x[9 * 392 + 98] = Number.NaN; // channel 2
    const got = await evaluate(variance(literal(value([64, 8, 7, 7], x)), [0, 2, 3]), { backend });
    got.data.forEach((v, k) => {
      if (k === 1 || k === 2) expect(v).toBeNaN();
      else expect(v).toBeLessThan(1e-12);
    });
  });
});
