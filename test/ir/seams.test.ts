/**
 * Where a formula changes branch, overflows or ties; random points never land there. The witness is written out here,
 * or is Math's own function. A NaN is never swallowed.
 */
import { describe, expect, test } from "vitest";
import {
  argmax,
  clip,
  elu,
  gelu,
  grad,
  leakyRelu,
  logSoftmax,
  logSumExp,
  norm,
  power,
  relu,
  sigmoid,
  silu,
  softmax,
  softplus,
  type Tensor,
  type Value,
  value,
} from "../../src/ir/index.ts";
import { type Elementwise, erf } from "../../src/ir/ops.ts";
import { jit } from "../../src/run/jit.ts";
import { backends } from "../backends.ts";
import { distance } from "./numbers.ts";

const Inf = Infinity;
const everywhere = [-Inf, -1000, -90, -1, -1e-3, -1e-40, -0, 0, 1e-40, 1e-3, 1, 90, 1000, Inf, NaN];

/** The nearest number with so many significant bits, by its spacing there, at least `least`: no bits are looked at. */
const nearest = (digits: number, least: number, beyond: number) => (x: number) => {
  const f = Math.fround(x);
  if (f === 0 || !Number.isFinite(f)) return f;
  const unit = Math.max(2 ** (Math.floor(Math.log2(Math.abs(f))) - digits + 1), least);
  const [down, up] = [Math.floor(f / unit), Math.ceil(f / unit)];
  const even = down % 2 === 0 ? down : up;
  const whole = f / unit - down < up - f / unit ? down : f / unit - down > up - f / unit ? up : even;
  return Math.abs(whole * unit) < beyond ? whole * unit : Math.sign(f) * Infinity;
};

const unary: Record<
  Exclude<Elementwise, "cast" | "where" | "add" | "mul" | "div" | "max" | "lt" | "le" | "eq" | "xor" | "shr">,
  [(x: Tensor) => Tensor, (x: number) => number]
> = {
  exp: [(x) => x.exp(), Math.exp],
  expm1: [(x) => x.expm1(), Math.expm1],
  log: [(x) => x.log(), Math.log],
  log1p: [(x) => x.log1p(), Math.log1p],
  sin: [(x) => x.sin(), Math.sin],
  cos: [(x) => x.cos(), Math.cos],
  tanh: [(x) => x.tanh(), Math.tanh],
  erf: [(x) => x.erf(), erf],
  sqrt: [(x) => x.sqrt(), Math.sqrt],
  floor: [(x) => x.floor(), Math.floor],
  bf16: [(x) => x.bf16(), nearest(8, 2 ** -133, 2 ** 128)],
  f16: [(x) => x.f16(), nearest(11, 2 ** -24, 2 ** 16)],
};
const binary: Record<string, [(a: Tensor, b: Tensor) => Tensor, (a: number, b: number) => number]> = {
  add: [(a, b) => a.add(b), (a, b) => a + b],
  sub: [(a, b) => a.sub(b), (a, b) => a - b],
  mul: [(a, b) => a.mul(b), (a, b) => a * b],
  div: [(a, b) => a.div(b), (a, b) => a / b],
  max: [(a, b) => a.max(b), Math.max],
  min: [(a, b) => a.min(b), Math.min],
  lt: [(a, b) => a.lt(b), (a, b) => +(a < b)],
  le: [(a, b) => a.le(b), (a, b) => +(a <= b)],
  eq: [(a, b) => a.eq(b), (a, b) => +(a === b)],
  gt: [(a, b) => a.gt(b), (a, b) => +(a > b)],
};
const s = (x: number) => 1 / (1 + Math.exp(-x));
/** [composite, its value, its slope], the slope where the limits of both sides agree or a convention is written down. */
const composites: Record<string, [(x: Tensor) => Tensor, (x: number) => number, (x: number) => number]> = {
  relu: [relu, (x) => (x <= 0 ? 0 : x), (x) => (x <= 0 ? 0 : 1)],
  leakyRelu: [(x) => leakyRelu(x, 0.5), (x) => (x <= 0 ? x / 2 : x), (x) => (x <= 0 ? 0.5 : 1)],
  elu: [elu, (x) => (x <= 0 ? Math.expm1(x) : x), (x) => (x <= 0 ? Math.exp(x) : 1)],
  abs: [(x) => x.abs(), Math.abs, (x) => Math.sign(x)],
  clip: [(x) => clip(x, -1, 1), (x) => (x < -1 ? -1 : x > 1 ? 1 : x), (x) => (x < -1 || x > 1 ? 0 : 1)],
  sigmoid: [sigmoid, s, (x) => s(x) * s(-x)],
  softplus: [softplus, (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), s],
  tanh: [(x) => x.tanh(), Math.tanh, (x) => 1 - Math.tanh(x) ** 2],
  silu: [silu, (x) => x * s(x), (x) => s(x) + x * s(x) * s(-x)],
  gelu: [
    gelu,
    (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
    (x) => 0.5 * (1 + erf(x / Math.SQRT2)) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI),
  ],
  "power 0": [(x) => power(x, 0), () => 1, () => 0],
  "power 3": [(x) => power(x, 3), (x) => x ** 3, (x) => 3 * x * x],
};

describe.each(backends)("%s", (backend) => {
  describe.each(["f32", "f64"] as const)("%s", (d) => {
    const close = d === "f64" ? 1e-13 : backend === "js" ? 1e-7 : 3e-6;
    const round = (x: number) => (d === "f32" ? Math.fround(x) : x);
    // A denormal result becomes 0 while a native program runs (src/print/c.ts), and in f32 1e-40 gives many.
    const points = d === "f32" && backend === "native" ? everywhere.filter((x) => Math.abs(x) !== 1e-40) : everywhere;
    const wanted = (f: (x: number) => number) => points.map((x) => round(f(round(x))));

    test("elementwise ops of one operand", async () => {
      const f = (x: Tensor) => Object.fromEntries(Object.entries(unary).map(([op, [ours]]) => [op, ours(x)]));
      const got = (await jit(f, { backend })(value([points.length], points, d))) as Record<string, Value>;
      for (const [op, [, theirs]] of Object.entries(unary))
        expect(distance(got[op]!.data, wanted(theirs)), `${op}: ${got[op]!.data}`).toBeLessThanOrEqual(close);
    });

    test("elementwise ops of two operands: every pair", async () => {
      const f = (a: Tensor, b: Tensor) =>
        Object.fromEntries(Object.entries(binary).map(([op, [ours]]) => [op, ours(a, b)]));
      const n = points.length;
      const got = (await jit(f, { backend })(value([n, 1], points, d), value([n], points, d))) as Record<string, Value>;
      for (const [op, [, theirs]] of Object.entries(binary)) {
        const want = points.flatMap((a) => points.map((b) => round(theirs(round(a), round(b)))));
        expect(distance(got[op]!.data, want), op).toBeLessThanOrEqual(close);
      }
    });

    test("composites and their slopes", async () => {
      const finite = points.filter(Number.isFinite);
      const f = (x: Tensor, y: Tensor) =>
        Object.fromEntries(
          Object.entries(composites).map(([name, [ours]]) => [name, [ours(x), grad((z: Tensor) => ours(z).sum())(y)]]),
        );
      const got = (await jit(f, { backend })(
        value([points.length], points, d),
        value([finite.length], finite, d),
      )) as Record<string, Value[]>;
      for (const [name, [, theirs, slope]] of Object.entries(composites)) {
        const skipped = name === "silu" || name === "gelu"; // −∞ · 0, as it is in PyTorch
        const want = wanted(theirs);
        const ours = Array.from(got[name]![0]!.data);
        if (skipped) want[0] = ours[0] = NaN;
        expect(distance(ours, want), `${name}: ${ours}`).toBeLessThanOrEqual(close);
        expect(
          distance(
            got[name]![1]!.data,
            finite.map((x) => round(slope(round(x)))),
          ),
          `slope of ${name}: ${got[name]![1]!.data}`,
        ).toBeLessThanOrEqual(close);
      }
    });

    test("ties: max and amax share a gradient, argmax takes the first", async () => {
      const f = (x: Tensor) => ({
        max: grad((y: Tensor) => y.max(2).sum())(x),
        amax: grad((y: Tensor) => y.amax(1).sum())(x),
        columns: grad((y: Tensor) => y.mul(0.1).add(0.3).amax(0).sum())(x),
        first: argmax(x, 1),
        computed: argmax(x.mul(0.1).add(0.3), 0),
        twice: grad((y: Tensor) => y.max(y).sum())(x),
      });
      const { max, amax, columns, first, computed, twice } = await jit(f, { backend })(
        value([2, 4], [1, 2, 2, 0, 3, 3, 3, 3], d),
      );
      expect([...max.data]).toEqual([0, 0.5, 0.5, 0, 1, 1, 1, 1]);
      expect([...amax.data]).toEqual([0, 0.5, 0.5, 0, 0.25, 0.25, 0.25, 0.25]);
      expect(distance(columns.data, [0, 0, 0, 0, 0.1, 0.1, 0.1, 0.1])).toBeLessThan(1e-7);
      expect([...first.data]).toEqual([1, 0]);
      expect([...computed.data]).toEqual([1, 1, 1, 1]);
      expect([...twice.data]).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    });

    test("a NaN stays one through reductions, and infinities through logSumExp and softmax", async () => {
      const f = (x: Tensor, y: Tensor) => ({
        amax: x.amax(1),
        amin: x.amin(1),
        sum: x.sum(1),
        lse: logSumExp(y),
        soft: softmax(y),
        logSoft: logSoftmax(y),
        slope: grad((z: Tensor) => logSumExp(z).sum())(
          y.shrink([
            [0, 1],
            [0, 3],
          ]),
        ),
      });
      const x = value([2, 3], [1, NaN, 3, 4, 5, 6], d);
      const y = value([4, 3], [0, -Inf, 0, 1000, 1000, 1000, -1000, -1000, -1000, -Inf, -Inf, -Inf], d);
      const got = await jit(f, { backend })(x, y);
      expect([...got.amax.data]).toEqual([NaN, 6]);
      expect([...got.amin.data]).toEqual([NaN, 4]);
      expect([...got.sum.data]).toEqual([NaN, 15]);
      expect(distance(got.lse.data, [Math.log(2), 1000 + Math.log(3), -1000 + Math.log(3), -Inf])).toBeLessThan(1e-7);
      const third = 1 / 3;
      expect(
        distance(got.soft.data, [0.5, 0, 0.5, third, third, third, third, third, third, NaN, NaN, NaN]),
      ).toBeLessThan(1e-7);
      const l = -Math.log(3);
      // Relative to the terms: C compilers may take (x − 1000) − log 3 as x − (1000 + log 3).
      const terms = [1, 1, 1, 1000, 1000, 1000, 1000, 1000, 1000];
      expect(
        distance(got.logSoft.data.slice(0, 9), [-Math.log(2), -Inf, -Math.log(2), l, l, l, l, l, l], terms),
      ).toBeLessThan(1e-7);
      expect(distance(got.slope.data, [0.5, 0, 0.5])).toBeLessThan(1e-7);
    });

    test("norm and powers at 0: finite, and slopes as documented", async () => {
      const f = (x: Tensor) => ({
        norm: norm(x, 1),
        slope: grad((y: Tensor) => norm(y, 1).sum())(x),
        p: power(x, 1.5),
        p1: grad((y: Tensor) => power(y, 1.5).sum())(x),
        root: grad((y: Tensor) => power(y, 0.5).sum())(x),
        low: grad((y: Tensor) => power(y, 0.3).sum())(x),
        inverse: power(x, -1),
      });
      const got = await jit(f, { backend })(value([2, 2], [0, 0, 3, 4], d));
      expect(distance(got.norm.data, [0, 5])).toBeLessThan(1e-6);
      expect(distance(got.slope.data, [0, 0, 0.6, 0.8])).toBeLessThan(1e-6);
      expect(distance(got.p.data, [0, 0, 3 ** 1.5, 8])).toBeLessThan(1e-6);
      expect(distance(got.p1.data, [0, 0, 1.5 * Math.sqrt(3), 3])).toBeLessThan(1e-6);
      expect(distance(got.root.data, [Inf, Inf, 0.5 / Math.sqrt(3), 0.25])).toBeLessThan(1e-6);
      expect(distance(got.low.data, [Inf, Inf, 0.3 * 3 ** -0.7, 0.3 * 4 ** -0.7])).toBeLessThan(1e-6);
      expect(distance(got.inverse.data, [Inf, Inf, 1 / 3, 0.25])).toBeLessThan(1e-6);
    });
  });

  test("integers: division cuts towards 0 and survives 0, u32 wraps around, shifts bring zeros in", async () => {
    const f = (a: Tensor, b: Tensor, u: Tensor, v: Tensor) => ({
      div: a.div(b),
      add: u.add(v),
      sub: u.sub(v),
      mul: u.mul(v),
      quotient: u.div(v),
      shr: u.shr(v),
      min: u.min(v),
      least: u.amin(),
      less: a.lt(b),
      small: u.lt(v),
    });
    const a = value([7], [7, -7, 7, -7, 5, -2147483648, 0], "i32");
    const b = value([7], [2, 2, -2, -2, 0, -1, 3], "i32");
    const u = value([5], [0, 4294967295, 2147483648, 5, 3000000000], "u32");
    const v = value([5], [1, 2, 31, 0, 3000000000], "u32");
    const got = await jit(f, { backend })(a, b, u, v);
    expect([...got.div.data]).toEqual([3, -3, -3, 3, 0, -2147483648, 0]);
    expect([...got.add.data]).toEqual([1, 1, 2147483679, 5, 1705032704]);
    expect([...got.sub.data]).toEqual([4294967295, 4294967293, 2147483617, 5, 0]);
    expect([...got.mul.data]).toEqual([0, 4294967294, 2147483648, 0, Number((3000000000n * 3000000000n) % 2n ** 32n)]);
    expect([...got.quotient.data]).toEqual([0, 2147483647, 69273666, 0, 1]);
    expect([...got.shr.data]).toEqual([0, 1073741823, 1, 5, 3000000000]); // shifts count modulo 32
    expect([...got.min.data]).toEqual([0, 2, 31, 0, 3000000000]);
    expect([...got.least.data]).toEqual([0]);
    expect([...got.less.data]).toEqual([0, 1, 0, 1, 0, 1, 1]);
    expect([...got.small.data]).toEqual([1, 0, 0, 0, 0]);
  });

  test("casts: floats are cut towards 0, anything but 0 is true, whole numbers stay", async () => {
    const f = (x: Tensor, i: Tensor, u: Tensor, c: Tensor) => ({
      cut: x.cast("i32"),
      truth: x.cast("bool"),
      count: c.cast("i32"),
      ones: c.cast("f32"),
      big: u.cast("f64"),
      wrapped: i.cast("u32"),
    });
    const x = value([7], [-1.9, -0.5, -0, 0, 0.5, 1.9, NaN], "f64");
    const got = await jit(f, { backend })(
      x,
      value([2], [-1, 5], "i32"),
      value([2], [4294967295, 7], "u32"),
      value([2], [1, 0], "bool"),
    );
    expect([...got.cut.data].slice(0, 6)).toEqual([-1, 0, 0, 0, 0, 1]);
    expect([...got.truth.data]).toEqual([1, 1, 0, 0, 1, 1, 1]);
    expect([...got.count.data]).toEqual([1, 0]);
    expect([...got.ones.data]).toEqual([1, 0]);
    expect([...got.big.data]).toEqual([4294967295, 7]);
    expect([...got.wrapped.data]).toEqual([4294967295, 5]);
  });

  test("a constant of f32 is the nearest f32, so that a comparison with it is the same everywhere", async () => {
    const f = (x: Tensor) => ({ eq: x.eq(0.1), gt: x.gt(0.1) });
    const { eq, gt } = await jit(f, { backend })(value([2], [0.1, 0.2]));
    expect([[...eq.data], [...gt.data]]).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });
});

test("erf against mpmath 1.3.0, on both sides of the branch at 3", () => {
  const table: [number, number][] = [
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [2.9999, 0.9999778955735178],
    [3, 0.9999779095030014],
    [4, 0.9999999845827421],
    [5.9, 0.9999999999999999],
  ];
  for (const [x, y] of table) expect(Math.abs(erf(x) - y), `${x}`).toBeLessThan(3e-16);
  expect([erf(-1), erf(Infinity), erf(-Infinity), erf(NaN), erf(0)]).toEqual([-erf(1), 1, -1, NaN, 0]);
});

test.each(backends)("%s: i32 wraps around, and nothing is concluded from its never doing so", async (backend) => {
  const big = 2147483647;
  const f = (a: Tensor, b: Tensor) => ({ add: a.add(b), mul: a.mul(b), less: a.lt(a.add(1)) });
  const a = value([4], [big, big, -big, 65536], "i32");
  const b = value([4], [1, big, -2, 65536], "i32");
  const { add, mul, less } = await jit(f, { backend })(a, b);
  expect([...add.data]).toEqual([-big - 1, -2, big, 131072]);
  expect([...mul.data]).toEqual([big, 1, -2, 0]);
  expect([...less.data]).toEqual([0, 0, 1, 1]);
});
