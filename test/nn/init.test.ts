/** Initialisers: the spread PyTorch's have, and that a draw is a function of its seed and path alone. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Shape } from "../../src/ir/shape.ts";
import * as nn from "../../src/nn/index.ts";
import { foldIn, key } from "../../src/random.ts";

type Case = {
  name: string;
  initialiser: string;
  shape: number[];
  fanIn: number | null;
  fanOut: number | null;
  bound: number | null;
  std: number;
  settings: { gain?: number; mode?: "fanIn" | "fanOut"; std?: number; a?: number; b?: number; fanIn?: number };
};
const golden = JSON.parse(readFileSync(new URL("../golden/linear-init.json", import.meta.url), "utf8")) as {
  gains: Record<string, number>;
  cases: Case[];
};

/** The initialiser of a case: by our names, with the case's settings. */
const byName: Record<string, (c: Case) => nn.Init> = {
  linearWeight: (c) => nn.linear(c.shape[1]!, c.shape[0]!).children.weight.init,
  linearBias: (c) => nn.linear(c.settings.fanIn!, c.shape[0]!).children.bias.init,
  xavierUniform: (c) => nn.xavierUniform(c.settings.gain),
  xavierNormal: (c) => nn.xavierNormal(c.settings.gain),
  kaimingUniform: ({ settings: { mode = "fanIn" } }) => nn.heUniform({ mode }),
  kaimingNormal: ({ settings: { mode = "fanIn" } }) => nn.heNormal({ mode }),
  truncatedNormal: ({ settings: { std = 1, a = -2, b = 2 } }) => nn.truncatedNormal(std, { low: a, high: b }),
  orthogonal: (c) => nn.orthogonal(c.settings.gain),
};

const moment = (x: ArrayLike<number>, power: number) =>
  Array.from(x).reduce((sum, v) => sum + v ** power, 0) / x.length;
const largest = (x: ArrayLike<number>) => Array.from(x).reduce((m, v) => Math.max(m, Math.abs(v)), 0);

describe.each(golden.cases)("$name", (c) => {
  const draw = (shape: Shape) => byName[c.initialiser]!(c)(shape, foldIn(key(1), c.name));
  const x = draw(c.shape);
  const n = x.length;

  test("mean and standard deviation, within what chance allows", () => {
    expect(n).toBe(c.shape.reduce((a, b) => a * b, 1));
    expect(Math.abs(moment(x, 1))).toBeLessThan((4.5 * c.std) / Math.sqrt(n));
    // the variance of x² is at most 2 std⁴ for these distributions
    expect(Math.abs(moment(x, 2) / c.std ** 2 - 1)).toBeLessThan(4.5 * Math.sqrt(2 / n));
  });

  test("bound", () => {
    if (c.bound === null) expect(largest(x)).toBeGreaterThan(2 * c.std);
    else expect(largest(x)).toBeLessThanOrEqual(c.bound * (1 + 1e-12));
    // a uniform distribution fills its interval
    if (/Uniform|linear/.test(c.initialiser)) expect(largest(x)).toBeGreaterThan(c.bound! * (1 - 20 / n));
  });

  if (c.fanIn !== null) {
    test("fans", () => expect(nn.fans(c.shape)).toEqual({ fanIn: c.fanIn, fanOut: c.fanOut }));
  }
});

test("gains", () => {
  const { "leakyRelu(0.01)": leaky, ...plain } = golden.gains;
  for (const [name, g] of Object.entries(plain)) expect(nn.gain(name as nn.Nonlinearity)).toBeCloseTo(g, 15);
  expect(nn.gain("leakyRelu")).toBeCloseTo(leaky!, 15);
  expect(nn.gain("leakyRelu", 0)).toBe(Math.SQRT2);
  // @ts-expect-error no such nonlinearity
  expect(() => nn.gain("mish")).toThrow("gain: unknown nonlinearity mish\n  hint: one of linear, sigmoid");
});

describe("orthogonal", () => {
  test.each([[[4, 4]], [[3, 7]], [[7, 3]], [[4, 2, 3, 3]], [[1, 5]], [[64, 64]]])("%j", (shape) => {
    const x = nn.orthogonal(2)(shape, key(5));
    const rows = shape[0]!;
    const columns = x.length / rows;
    const at = (i: number, j: number) => x[i * columns + j]!;
    const wide = rows <= columns;
    const n = wide ? rows : columns;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let k = 0; k < (wide ? columns : rows); k++) sum += wide ? at(i, k) * at(j, k) : at(k, i) * at(k, j);
        expect(sum).toBeCloseTo(i === j ? 4 : 0, 12);
      }
    }
  });

  test("its first entry is as often negative as positive: the sign is that of the draw, not of an algorithm", () => {
    const negative = Array.from({ length: 400 }, (_, s) => nn.orthogonal()([3, 3], key(s))[0]! < 0).filter(Boolean);
    expect(Math.abs(negative.length - 200)).toBeLessThan(45); // 4.5 standard deviations
  });
});

test("a truncated normal keeps the shape of the normal between its bounds", () => {
  const x = Array.from(nn.truncatedNormal(1, { low: -1, high: 2 })([20_000], key(3)));
  // mean and fourth moment by integration of the density on [−1, 2]
  const grid = Array.from({ length: 30_000 }, (_, i) => -1 + (i + 0.5) * 1e-4);
  const density = grid.map((v) => Math.exp((-v * v) / 2));
  const mass = density.reduce((a, b) => a + b, 0);
  const expected = (p: number) => grid.reduce((sum, v, i) => sum + v ** p * density[i]!, 0) / mass;
  for (const p of [1, 2, 3, 4]) {
    const error = Math.sqrt((expected(2 * p) - expected(p) ** 2) / x.length);
    expect(Math.abs(moment(x, p) - expected(p))).toBeLessThan(4.5 * error);
  }
  expect(() => nn.truncatedNormal(0.01, { low: 1, high: 2 })([3], key(1))).toThrow("nearly nothing");
});

test("constants", () => {
  expect([...Array.from(nn.zeros([2], key(1))), ...Array.from(nn.ones([2], key(1)))]).toEqual([0, 0, 1, 1]);
  expect(Array.from(nn.constant(0.5)([3], key(1)))).toEqual([0.5, 0.5, 0.5]);
  const lecun = nn.lecunNormal()([200, 100], key(1));
  expect(moment(lecun, 2)).toBeCloseTo(1 / 100, 3);
});

test("a shape without fans is refused", () => {
  expect(() => nn.heNormal()([10], key(1))).toThrow("the shape [10] has no fan-in and fan-out");
  expect(() => nn.orthogonal()([10], key(1))).toThrow("fewer than two axes");
});
