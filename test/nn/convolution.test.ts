/** Convolutions against loops written from their formulas, and what is said about arguments that do not fit. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DType } from "../../src/ir/dtype.ts";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import * as nn from "../../src/nn/index.ts";
import { apply, init, type Layer, type Module, sequential } from "../../src/nn/index.ts";
import * as tree from "../../src/tree.ts";
import { hasNative } from "../backends.ts";
import { distance, evaluate, numbers, some } from "./evaluate.ts";

type Setup = {
  batch: number;
  groups: number;
  /** Channels of one group. */
  inputs: number;
  outputs: number;
  axes: Axis[];
  mode: nn.PaddingMode;
  same: boolean;
};
/** One spatial axis: n elements. `rest` is what the output of a transposed one has more. */
type Axis = { n: number; size: number; stride: number; dilation: number; padding: number; rest: number };
/** y[k] += x[j] · w[i], by positions in row-major order. */
type Term = [y: number, x: number, w: number];

const product = (box: number[]) => box.reduce((a, b) => a * b, 1);
const count = (n: number) => Array.from({ length: n }, (_, i) => i);
/** All positions in a box. */
const places = (box: number[]): number[][] =>
  box.reduce<number[][]>((all, n) => all.flatMap((at) => count(n).map((i) => [...at, i])), [[]]);
const flat = (at: number[], box: number[]) => at.reduce((k, i, axis) => k * box[axis]! + i, 0);

/** Where an element beyond the border comes from; −1 where it is a zero. */
const source: Record<nn.PaddingMode, (at: number, n: number) => number> = {
  zeros: (at, n) => (at >= 0 && at < n ? at : -1),
  reflect: (at, n) => (at < 0 ? -at : at < n ? at : 2 * (n - 1) - at),
  replicate: (at, n) => Math.min(Math.max(at, 0), n - 1),
  circular: (at, n) => (at + n) % n,
};

function convolutionTerms({ batch, groups, inputs, outputs, axes, mode, same }: Setup) {
  const s = axes.map((a) => a.n);
  const k = axes.map((a) => a.size);
  const reach = axes.map((a) => a.dilation * (a.size - 1));
  const before = axes.map((a, i) => (same ? Math.floor(reach[i]! / 2) : a.padding));
  const to = axes.map((a, i) => (same ? a.n : Math.floor((a.n + 2 * a.padding - reach[i]! - 1) / a.stride) + 1));
  const [x, w, y] = [
    [batch, groups * inputs, ...s],
    [groups * outputs, inputs, ...k],
    [batch, groups * outputs, ...to],
  ];
  const terms: Term[] = [];
  for (const [n, g, o, c] of places([batch, groups, outputs, inputs]) as [number, number, number, number][]) {
    for (const at of places(to)) {
      for (const tap of places(k)) {
        const from = axes.map((a, i) => source[mode](at[i]! * a.stride + tap[i]! * a.dilation - before[i]!, a.n));
        if (from.includes(-1)) continue;
        const out = g * outputs + o;
        terms.push([flat([n, out, ...at], y), flat([n, g * inputs + c, ...from], x), flat([out, c, ...tap], w)]);
      }
    }
  }
  return { x, w, y, terms };
}

function transposedTerms({ batch, groups, inputs, outputs, axes }: Setup) {
  const s = axes.map((a) => a.n);
  const k = axes.map((a) => a.size);
  const to = axes.map((a) => (a.n - 1) * a.stride - 2 * a.padding + a.dilation * (a.size - 1) + a.rest + 1);
  const [x, w, y] = [
    [batch, groups * inputs, ...s],
    [groups * inputs, outputs, ...k],
    [batch, groups * outputs, ...to],
  ];
  const terms: Term[] = [];
  for (const [n, g, o, c] of places([batch, groups, outputs, inputs]) as [number, number, number, number][]) {
    for (const at of places(s)) {
      for (const tap of places(k)) {
        const into = axes.map((a, i) => at[i]! * a.stride + tap[i]! * a.dilation - a.padding);
        if (into.some((p, i) => p < 0 || p >= to[i]!)) continue;
        const from = g * inputs + c;
        terms.push([flat([n, g * outputs + o, ...into], y), flat([n, from, ...at], x), flat([from, o, ...tap], w)]);
      }
    }
  }
  return { x, w, y, terms };
}

/** Output and all gradients of Σ y · cotangent. */
function loops({ x, w, y, terms }: ReturnType<typeof convolutionTerms>, channels: number) {
  const [xs, ws, bs] = [some(product(x)), some(product(w), 50), some(channels, 90)];
  const cs = some(product(y), 30);
  const each = product(y) / channels / y[0]!;
  const bias = (k: number) => Math.floor(k / each) % channels;
  const ys = cs.map((_, k) => bs[bias(k)]!);
  const [dx, dw, db] = [xs.map(() => 0), ws.map(() => 0), bs.map(() => 0)];
  for (const [k, j, i] of terms) {
    ys[k]! += xs[j]! * ws[i]!;
    dx[j]! += cs[k]! * ws[i]!;
    dw[i]! += cs[k]! * xs[j]!;
  }
  for (const [k, c] of cs.entries()) db[bias(k)]! += c;
  const feeds = { x: value(x, xs, "f64"), c: value(y, cs, "f64") };
  const params = { weight: value(w, ws, "f64"), bias: value([channels], bs, "f64") };
  return { feeds: { ...feeds, params }, ys, dx, dw, db };
}

/** The same by a layer. */
const scored =
  (net: Module) =>
  ({ x, c, params }: { x: Tensor; c: Tensor; params: any }) => {
    const [[, y], slope] = valueAndGrad((at: { x: Tensor; params: any }) => {
      const y: Tensor = apply(net, { params: at.params }, at.x)[0];
      return [y.mul(c).sum(), y] as const;
    })({ x, params });
    return { y, slope };
  };

function layerOf(kind: "conv" | "convTranspose", { groups, inputs, outputs, axes, mode, same }: Setup): Module {
  const of = (key: keyof Axis) => axes.map((a) => a[key]);
  const sizes = [groups * inputs, groups * outputs, of("size")] as const;
  const options = { stride: of("stride"), dilation: of("dilation"), padding: of("padding"), groups };
  if (kind === "conv") {
    const conv = [nn.conv1d, nn.conv2d, nn.conv3d][axes.length - 1]!;
    return conv(...sizes, { ...options, paddingMode: mode, ...(same ? { padding: "same" } : {}) });
  }
  const transpose = [nn.convTranspose1d, nn.convTranspose2d, nn.convTranspose3d][axes.length - 1]!;
  return transpose(...sizes, { ...options, outputPadding: of("rest") });
}

/** Small shapes, so that loops are quick; all that fits together. */
const setups = (kind: "conv" | "convTranspose") => {
  const small = (max: number, min = 1) => fc.integer({ min, max });
  const axis = fc.record({
    n: small(6),
    size: small(3),
    stride: small(3),
    dilation: small(3),
    padding: small(3, 0),
    rest: small(2, 0),
  });
  const mode = fc.constantFrom(
    "zeros" as const,
    "zeros" as const,
    "reflect" as const,
    "replicate" as const,
    "circular" as const,
  );
  return fc
    .record({
      batch: small(2),
      groups: small(2),
      inputs: small(2),
      outputs: small(2),
      axes: fc.array(axis, { minLength: 1, maxLength: 3 }),
      mode: kind === "conv" ? mode : fc.constant("zeros" as const),
      same: kind === "conv" ? fc.boolean() : fc.constant(false),
    })
    .map((s): Setup => (s.same ? { ...s, axes: s.axes.map((a) => ({ ...a, stride: 1 })) } : s))
    .filter(({ axes, mode, same }) =>
      axes.every((a) => {
        const reach = a.dilation * (a.size - 1);
        if (kind === "convTranspose") {
          return a.rest < Math.max(a.stride, a.dilation) && (a.n - 1) * a.stride - 2 * a.padding + reach + a.rest >= 0;
        }
        const added = same ? Math.ceil(reach / 2) : a.padding;
        const most = { zeros: added, reflect: a.n - 1, replicate: added, circular: a.n }[mode];
        return added <= most && (same || a.n + 2 * a.padding > reach);
      }),
    );
};

const narrow = (v: Value) => value(v.shape, v.data);

describe.each(["conv", "convTranspose"] as const)("%s", (kind) => {
  const expected = (s: Setup) =>
    loops(kind === "conv" ? convolutionTerms(s) : transposedTerms(s), s.groups * s.outputs);

  test("output and gradients are those of the loops", async () => {
    await fc.assert(
      fc.asyncProperty(setups(kind), async (s) => {
        const { feeds, ys, dx, dw, db } = expected(s);
        const { y, slope } = await evaluate(scored(layerOf(kind, s)), feeds);
        expect(distance([...y.data], ys)).toBeLessThan(1e-13);
        expect(distance(numbers(slope), [...dx, ...dw, ...db])).toBeLessThan(1e-13);
      }),
      { seed: 1, numRuns: 40 },
    );
  });

  test.runIf(hasNative)("native agrees in f32", async () => {
    const axes = [
      { n: 9, size: 3, stride: 2, dilation: 1, padding: 1, rest: 1 },
      { n: 7, size: 3, stride: 1, dilation: 2, padding: 2, rest: 0 },
    ];
    const s: Setup = { batch: 4, groups: 2, inputs: 4, outputs: 8, axes, mode: "zeros", same: false };
    const { feeds, ys, dx, dw, db } = expected(s);
    const { y, slope } = await evaluate(scored(layerOf(kind, s)), tree.map(narrow, feeds), "native");
    expect(distance([...y.data], ys)).toBeLessThan(1e-5);
    expect(distance(numbers(slope), [...dx, ...dw, ...db])).toBeLessThan(1e-5);
  });
});

describe("windows of two axes, laid over each other in the gradient", () => {
  test.each([
    { name: "stride below the size", size: 3, stride: 1, dilation: 1 },
    { name: "stride beyond the size", size: 2, stride: 3, dilation: 1 },
    { name: "dilation", size: 3, stride: 2, dilation: 2 },
  ])("$name", async ({ size, stride, dilation }) => {
    const [h, w] = [8, 7];
    const of = (n: number) => Math.floor((n - dilation * (size - 1) - 1) / stride) + 1;
    const box = [of(h), of(w), size, size];
    const cs = some(product(box));
    const slope = Array<number>(h * w).fill(0);
    for (const [i, j, a, b] of places(box) as [number, number, number, number][]) {
      slope[(i * stride + a * dilation) * w + j * stride + b * dilation]! += cs[flat([i, j, a, b], box)]!;
    }
    const got = await evaluate(
      ({ x, c }: { x: Tensor; c: Tensor }) =>
        valueAndGrad((x: Tensor) => {
          const rows = x.window({ axis: 0, size, stride, dilation });
          return rows.window({ axis: 1, size, stride, dilation }).mul(c).sum();
        })(x)[1],
      { x: value([h, w], some(h * w), "f64"), c: value(box, cs, "f64") },
    );
    expect(distance([...got.data], slope)).toBeLessThan(1e-14);
  });
});

test("the gradient of a gradient", async () => {
  const net = nn.conv1d(1, 1, 2, { stride: 2, padding: 1, bias: false });
  const penalty = (weight: Tensor, x: Tensor) => {
    const slope = valueAndGrad((x: Tensor) => apply(net, { params: { weight } }, x)[0].square().sum())(x)[1];
    return slope.square().sum();
  };
  // y = (w₁ x₀, w₀ x₁ + w₁ x₂), slope (2 w₁² x₀, 2 w₀ y₁, 2 w₁ y₁), penalty 4 w₁⁴ x₀² + 4 (w₀² + w₁²) y₁²
  const [w0, w1, x0, x1, x2] = [0.5, -2, 3, 1, 0.25];
  const y1 = w0 * x1 + w1 * x2;
  const got = await evaluate(({ w, x }: { w: Tensor; x: Tensor }) => valueAndGrad((w: Tensor) => penalty(w, x))(w), {
    w: value([1, 1, 2], [w0, w1], "f64"),
    x: value([1, 1, 3], [x0, x1, x2], "f64"),
  });
  const squares = w0 * w0 + w1 * w1;
  expect(
    distance(numbers(got), [
      4 * w1 ** 4 * x0 * x0 + 4 * squares * y1 * y1,
      8 * w0 * y1 * y1 + 8 * squares * y1 * x1,
      16 * w1 ** 3 * x0 * x0 + 8 * w1 * y1 * y1 + 8 * squares * y1 * x2,
    ]),
  ).toBeLessThan(1e-13);
});

describe("first parameters", () => {
  /** PyTorch's bounds: nn.Conv2d(8, 16, 3, groups=2) and nn.ConvTranspose2d(8, 16, 3, groups=2), √3 · its std. */
  test.each([
    { name: "conv2d", net: nn.conv2d(8, 16, 3, { groups: 2 }), shape: [16, 4, 3, 3], bound: 1 / Math.sqrt(4 * 9) },
    {
      name: "convTranspose2d",
      net: nn.convTranspose2d(8, 16, 3, { groups: 2 }),
      shape: [8, 8, 3, 3],
      bound: 1 / Math.sqrt(8 * 9),
    },
  ])("$name: uniform within PyTorch's bound", ({ net, shape, bound }) => {
    const { weight, bias } = init(net, 1).params;
    expect(weight.shape).toEqual(shape);
    expect(bias.shape).toEqual([16]);
    const sizes = [...weight.data].map(Math.abs);
    expect(Math.max(...sizes, ...[...bias.data].map(Math.abs))).toBeLessThanOrEqual(bound);
    expect(Math.max(...sizes)).toBeGreaterThan(0.98 * bound);
    expect(sizes.reduce((a, b) => a + b) / sizes.length / (bound / 2)).toBeCloseTo(1, 1);
  });

  test("chosen ones, and no bias", () => {
    const { params } = init(nn.conv1d(2, 2, 1, { weightInit: nn.ones, biasInit: nn.zeros }), 1);
    expect(numbers(params)).toEqual([1, 1, 1, 1, 0, 0]);
    const bare = init(nn.conv3d(2, 2, 1, { bias: false }), 1).params;
    expect(Object.keys(bare)).toEqual(["weight"]);
    // @ts-expect-error a layer without a bias has none in its type
    expect(bare.bias).toBeUndefined();
  });
});

describe("messages", () => {
  const call =
    (net: Layer, shape: number[], dtype: DType = "f32") =>
    () => {
      const whole = sequential(net);
      const { params } = init(whole, 1);
      return apply(
        whole,
        { params: tree.map((v: Value) => input(v.shape, v.dtype), params) as any },
        input(shape, dtype),
      );
    };

  test("channels: the axis, the module and the line", () => {
    expect(call(nn.conv2d(3, 8, 3), [5, 4, 9, 9])).toThrow(
      /^conv2d: input f32\[5,4,9,9\] has 4 channels on axis 1, weight f32\[8,3,3,3\] expects 3\n {2}at net\.layers\.0 \(test\/nn\/convolution\.test\.ts:\d+\)$/,
    );
    expect(call(nn.conv2d(4, 8, 3, { groups: 2 }), [5, 2, 9, 9])).toThrow(
      "has 2 channels on axis 1, weight f32[8,2,3,3] expects 4",
    );
  });

  test.each<[string, () => unknown, string]>([
    [
      "channels last",
      call(nn.conv2d(3, 8, 3), [5, 9, 9, 3]),
      "the input looks like [n, h, w, c]: x.permute([0, 3, 1, 2])",
    ],
    ["channels last in one dimension", call(nn.conv1d(3, 8, 3), [5, 9, 3]), "[n, t, c]: x.permute([0, 2, 1])"],
    ["channels last in three", call(nn.convTranspose3d(3, 8, 3), [5, 9, 9, 9, 3]), "x.permute([0, 4, 1, 2, 3])"],
    ["one example", call(nn.conv2d(3, 8, 3), [3, 9, 9]), "hint: one example is a batch of 1: x.unsqueeze(0)\n"],
    ["no channel axis", call(nn.conv2d(1, 8, 3), [5, 9, 9]), "hint: one channel is an axis too: x.unsqueeze(1)\n"],
    ["either", call(nn.conv2d(3, 8, 3), [5, 9, 9]), "conv2d: input f32[5,9,9] has 3 axes, expected [n, c, h, w]"],
    ["flat", call(nn.conv2d(1, 8, 3), [5, 81]), "hint: unflatten it first: x.reshape([-1, c, h, w])"],
    [
      "too many axes",
      call(nn.conv1d(1, 8, 3), [5, 1, 9, 9]),
      "input f32[5,1,9,9] has 4 axes, expected [n, c, t]\n  at",
    ],
    [
      "another dtype",
      call(nn.conv1d(1, 8, 3), [5, 1, 9], "f64"),
      'f64[5,1,9] and weight f32[8,1,3] differ in dtype\n  hint: cast it first: x.cast("f32")',
    ],
    ["integers", call(nn.conv1d(1, 8, 3), [5, 1, 9], "i32"), "input i32[5,1,9] is not a float"],
    [
      "too short",
      call(nn.conv2d(1, 8, [2, 5]), [5, 1, 4, 4]),
      "a window of 5 does not fit on axis 3 of input f32[5,1,4,4]: 4\n",
    ],
    [
      "too short, dilated, padded",
      call(nn.conv1d(1, 8, 3, { dilation: 4, padding: 2 }), [5, 1, 4]),
      "a window of 9 (3 taps 4 apart) does not fit on axis 2 of input f32[5,1,4]: 4 and 4 of padding",
    ],
    [
      "too short for its border",
      call(nn.conv1d(1, 8, 3, { padding: 3, paddingMode: "reflect" }), [5, 1, 3]),
      'paddingMode "reflect" has 2 elements to add on axis 2 of f32[5,1,3], not 3 and 3',
    ],
    [
      "nothing left",
      call(nn.convTranspose1d(1, 8, 3, { padding: 4 }), [5, 1, 4]),
      "convTranspose1d: of input f32[5,1,4] nothing is left: the output would be [-2]",
    ],
  ])("input: %s", (_, body, message) => expect(body).toThrow(message));

  test.each<[string, () => unknown, string]>([
    [
      "channels",
      () => nn.conv2d(0, 8, 3),
      "conv2d(0, 8, ..): channels and groups must be whole numbers from 1 on, got 0",
    ],
    [
      "groups",
      () => nn.conv2d(6, 8, 3, { groups: 4 }),
      "conv2d: 4 groups do not divide 6 input channels and 8 output channels",
    ],
    [
      "no kernel",
      () => nn.conv2d(3, 8, undefined as any),
      "conv2d: kernel must be a whole number from 1 on or a list of 2, got undefined",
    ],
    ["a kernel for another rank", () => nn.conv2d(3, 8, [3]), "a list of 2, got [3]"],
    [
      "a fraction",
      () => nn.conv3d(3, 8, 3, { stride: 1.5 }),
      "conv3d: stride must be a whole number from 1 on or a list of 3, got 1.5",
    ],
    [
      "a negative padding",
      () => nn.conv1d(3, 8, 3, { padding: -1 }),
      "conv1d: padding must be a whole number from 0 on",
    ],
    ["a zero dilation", () => nn.convTranspose1d(3, 8, 3, { dilation: [0] }), "convTranspose1d: dilation must be"],
    ["same with a stride", () => nn.conv1d(3, 8, 3, { padding: "same", stride: 2 }), 'padding "same" with stride 2'],
    [
      "a misspelt padding",
      () => nn.conv1d(3, 8, 3, { padding: "full" as any }),
      'conv1d: unknown padding "full"\n  hint: "same", "valid" or numbers',
    ],
    [
      "a misspelt mode",
      () => nn.conv1d(3, 8, 3, { paddingMode: "mirror" as any }),
      'unknown paddingMode "mirror"\n  hint: one of zeros, reflect, replicate, circular',
    ],
    [
      "outputPadding",
      () => nn.convTranspose1d(3, 8, 3, { stride: 2, outputPadding: 2 }),
      "outputPadding 2 is not below the stride 2 or the dilation 1",
    ],
  ])("option: %s", (_, body, message) => expect(body).toThrow(message));
});
