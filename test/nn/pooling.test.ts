/** Pools against loops written from their formulas, ties, and what is said about arguments that do not fit. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DType } from "../../src/ir/dtype.ts";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { value } from "../../src/ir/value.ts";
import * as nn from "../../src/nn/index.ts";
import { apply, sequential } from "../../src/nn/index.ts";
import { backends, hasNative } from "../backends.ts";
import { distance, evaluate, numbers, some } from "./evaluate.ts";

type Pool = (x: Tensor) => Tensor;
/** One output element: the input elements that it sees, by their positions in row-major order, and what a mean divides by. */
type Seen = { of: number[]; by: number };
/** One output position of one axis: what it sees there. */
type Part = Seen;

const product = (box: number[]) => box.reduce((a, b) => a * b, 1);
const count = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Every output element of [n, c, ..s], from what each of its axes sees. */
function seen(lead: number, s: number[], parts: Part[][]): Seen[] {
  let all: Seen[] = count(lead).map((i) => ({ of: [i], by: 1 }));
  for (const [k, axis] of parts.entries()) {
    all = all.flatMap((outer) =>
      axis.map(({ of, by }) => ({ of: outer.of.flatMap((i) => of.map((j) => i * s[k]! + j)), by: outer.by * by })),
    );
  }
  return all;
}

/** Output and the gradient of Σ y · cotangent. No two numbers are equal. */
function loops(kind: "max" | "avg", shape: number[], elements: Seen[]) {
  const x = some(product(shape));
  const c = some(elements.length, 20);
  const y: number[] = [];
  const slope = x.map(() => 0);
  for (const [k, { of, by }] of elements.entries()) {
    if (kind === "avg") {
      y.push(of.reduce((sum, j) => sum + x[j]!, 0) / by);
      for (const j of of) slope[j]! += c[k]! / by;
    } else {
      const best = of.reduce((a, b) => (x[b]! > x[a]! ? b : a));
      y.push(x[best]!);
      slope[best]! += c[k]!;
    }
  }
  return { x: value(shape, x, "f64"), c: value([c.length], c, "f64"), y, slope };
}

const scored =
  (pool: Pool) =>
  ({ x, c }: { x: Tensor; c: Tensor }) => {
    const [[, y], slope] = valueAndGrad((x: Tensor) => {
      const y = pool(x);
      return [y.flatten().mul(c).sum(), y] as const;
    })(x);
    return { y, slope };
  };

type Axis = { n: number; size: number; stride: number; dilation: number; padding: number };
type Options = { ceilMode: boolean; countIncludePad: boolean };

/** PyTorch's definition: the last window is left out where it begins behind input and left padding. */
function parts({ n, size, stride, dilation, padding }: Axis, { ceilMode, countIncludePad }: Options): Part[] {
  const out: Part[] = [];
  for (let i = 0; ; i++) {
    const start = i * stride - padding;
    const whole = start + dilation * (size - 1) < n + padding;
    if (!whole && !(ceilMode && start < n && start - stride + dilation * (size - 1) < n + padding - 1)) return out;
    const taps = count(size).map((k) => start + k * dilation);
    const of = taps.filter((at) => at >= 0 && at < n);
    out.push({ of, by: countIncludePad ? taps.filter((at) => at < n + padding).length : of.length });
  }
}

const small = (max: number, min = 1) => fc.integer({ min, max });
const axes = fc
  .array(fc.record({ n: small(7), size: small(4), stride: small(4), dilation: small(2), padding: small(2, 0) }), {
    minLength: 1,
    maxLength: 3,
  })
  .map((list) => list.map((a) => ({ ...a, padding: Math.min(a.padding, Math.floor(a.size / 2)) })));
const options = fc.record({ ceilMode: fc.boolean(), countIncludePad: fc.boolean() });

const table = {
  max: [nn.maxPool1d, nn.maxPool2d, nn.maxPool3d],
  avg: [nn.avgPool1d, nn.avgPool2d, nn.avgPool3d],
  adaptiveMax: [nn.adaptiveMaxPool1d, nn.adaptiveMaxPool2d, nn.adaptiveMaxPool3d],
  adaptiveAvg: [nn.adaptiveAvgPool1d, nn.adaptiveAvgPool2d, nn.adaptiveAvgPool3d],
};

function poolOf(kind: "max" | "avg", list: Axis[], { ceilMode, countIncludePad }: Options): Pool {
  const of = (key: keyof Axis) => list.map((a) => a[key]);
  const common = { stride: of("stride"), padding: of("padding"), ceilMode };
  if (kind === "max") return table.max[list.length - 1]!(of("size"), { ...common, dilation: of("dilation") });
  return table.avg[list.length - 1]!(of("size"), { ...common, countIncludePad });
}

describe.each(["max", "avg"] as const)("%s", (kind) => {
  test("output and gradient are those of the loops", async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(axes, options, async (drawn, how) => {
        const list = kind === "avg" ? drawn.map((a) => ({ ...a, dilation: 1 })) : drawn;
        const all = list.map((a) => parts(a, how));
        // No window fits, or, dilated, one sees the padding alone.
        fc.pre(all.every((axis) => axis.length && axis.every(({ of }) => of.length)));
        const shape = [2, 2, ...list.map((a) => a.n)];
        const elements = seen(4, shape.slice(2), all);
        const { x, c, y, slope } = loops(kind, shape, elements);
        const got = await evaluate(scored(poolOf(kind, list, how)), { x, c });
        expect(got.y.shape).toEqual([2, 2, ...all.map((axis) => axis.length)]);
        expect(distance(numbers(got), [...y, ...slope])).toBeLessThan(1e-14);
        compared++;
      }),
      { seed: 2, numRuns: 50 },
    );
    expect(compared).toBe(50);
  });

  test("to a size: output and gradient are those of the loops", async () => {
    const axis = fc.record({ n: small(7), to: small(4) });
    await fc.assert(
      fc.asyncProperty(fc.array(axis, { minLength: 1, maxLength: 3 }), async (list) => {
        const all = list.map(({ n, to }) =>
          count(to).map((i): Part => {
            const of = count(n).filter((j) => j >= Math.floor((i * n) / to) && j < Math.ceil(((i + 1) * n) / to));
            return { of, by: of.length };
          }),
        );
        const shape = [1, 2, ...list.map(({ n }) => n)];
        const { x, c, y, slope } = loops(kind, shape, seen(2, shape.slice(2), all));
        const pool = table[kind === "max" ? "adaptiveMax" : "adaptiveAvg"][list.length - 1]!(list.map(({ to }) => to));
        const got = await evaluate(scored(pool), { x, c });
        expect(distance(numbers(got), [...y, ...slope])).toBeLessThan(1e-14);
      }),
      { seed: 3, numRuns: 25 },
    );
  });

  test.runIf(hasNative)("native agrees in f32", async () => {
    const list = [
      { n: 9, size: 3, stride: 2, dilation: 1, padding: 1 },
      { n: 8, size: 2, stride: 2, dilation: 1, padding: 0 },
    ];
    const how = { ceilMode: true, countIncludePad: false };
    const { x, c, y, slope } = loops(
      kind,
      [3, 4, 9, 8],
      seen(
        12,
        [9, 8],
        list.map((a) => parts(a, how)),
      ),
    );
    const narrow = { x: value(x.shape, x.data), c: value(c.shape, c.data) };
    const got = await evaluate(scored(poolOf(kind, list, how)), narrow, "native");
    expect(distance(numbers(got), [...y, ...slope])).toBeLessThan(1e-6);
  });
});

describe.each(backends)("%s: seams of the maximum", (backend) => {
  const c = value([1], [6], "f64");
  const max = (...x: number[]) =>
    evaluate(scored(nn.maxPool1d(3, { padding: 1, stride: 4 })), { x: value([1, 1, x.length], x, "f64"), c }, backend);

  test("padding is no zero", async () => {
    expect(numbers(await max(-3, -2))).toEqual([-2, 0, 6]);
  });
  test("equal ones share the gradient", async () => {
    expect(numbers(await max(5, 5))).toEqual([5, 3, 3]);
  });
  test("−∞ and NaN stay what they are", async () => {
    expect((await max(-Infinity, -Infinity)).y.data[0]).toBe(-Infinity);
    expect((await max(1, Number.NaN)).y.data[0]).toBeNaN();
  });
});

test("upsample repeats along each axis, and its gradient is a sum", async () => {
  const x = value([1, 1, 2, 1], [1, 2], "f64");
  const c = value([8], [1, 2, 3, 4, 5, 6, 7, 8], "f64");
  const { y, slope } = await evaluate(scored(nn.upsample(2)), { x, c });
  expect(y.shape).toEqual([1, 1, 4, 2]);
  expect([...y.data]).toEqual([1, 1, 1, 1, 2, 2, 2, 2]);
  expect([...slope.data]).toEqual([1 + 2 + 3 + 4, 5 + 6 + 7 + 8]);
});

describe("messages", () => {
  const call = (pool: Pool, shape: number[], dtype?: DType) => () =>
    apply(sequential(pool), { params: { layers: [{}] } }, input(shape, dtype));

  test("a window that does not fit: the axis, the module and the line", () => {
    expect(call(nn.maxPool2d([2, 6]), [1, 1, 4, 4])).toThrow(
      /^maxPool2d: a window of 6 does not fit on axis 3 of input f32\[1,1,4,4\]: 4\n {2}hint: .*\n {2}at net\.layers\.0 \(test\/nn\/pooling\.test\.ts:\d+\)$/,
    );
  });

  test.each<[string, () => unknown, string]>([
    [
      "unbatched",
      call(nn.avgPool2d(2), [3, 4, 4]),
      "avgPool2d: input f32[3,4,4] has 3 axes, expected [n, c, h, w]\n  hint: one example is a batch of 1: x.unsqueeze(0); one channel is an axis too: x.unsqueeze(1)",
    ],
    [
      "integers",
      call(nn.maxPool1d(2), [1, 3, 4], "i32"),
      'maxPool1d: input i32[1,3,4] is not a float\n  hint: cast it first: x.cast("f32")',
    ],
    ["empty", call(nn.adaptiveMaxPool1d(2), [1, 3, 0]), "adaptiveMaxPool1d: input f32[1,3,0] is empty"],
    [
      "empty, padded",
      call(nn.maxPool1d(2, { padding: 1 }), [1, 3, 0]),
      "maxPool1d: a window of 2 does not fit on axis 2 of input f32[1,3,0]: 0 and 2 of padding",
    ],
    [
      "an image for upsample",
      call(nn.upsample([2, 2]), [3, 4]),
      "upsample: input f32[3,4] has 2 axes, expected [n, c, h, w]",
    ],
    ["no axis for upsample", call(nn.upsample(2), [3, 4]), "upsample: input f32[3,4] has 2 axes, expected [n, c, t]"],
  ])("input: %s", (_, body, message) => expect(body).toThrow(message));

  test.each<[string, () => unknown, string]>([
    ["kernel", () => nn.maxPool2d(0), "maxPool2d: kernel must be a whole number from 1 on or a list of 2, got 0"],
    [
      "stride",
      () => nn.avgPool1d(2, { stride: 0.5 }),
      "avgPool1d: stride must be a whole number from 1 on or a list of one, got 0.5",
    ],
    [
      "padding",
      () => nn.maxPool3d([4, 3, 2], { padding: [2, 1, 2] }),
      "maxPool3d: padding 2 is more than half of the kernel, 2",
    ],
    ["negative padding", () => nn.maxPool1d(2, { padding: -1 }), "maxPool1d: padding must be a whole number from 0 on"],
    [
      "dilation",
      () => nn.maxPool2d(2, { dilation: [1] }),
      "maxPool2d: dilation must be a whole number from 1 on or a list of 2, got [1]",
    ],
    [
      "output size",
      () => nn.adaptiveAvgPool2d([1, 0]),
      "adaptiveAvgPool2d: the output size must be a whole number from 1 on or a list of 2, got [1,0]",
    ],
    ["scale", () => nn.upsample(1.5), "upsample: the scale must be a whole number from 1 on"],
  ])("option: %s", (_, body, message) => expect(body).toThrow(message));
});
