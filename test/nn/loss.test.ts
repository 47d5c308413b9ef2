/** Losses against PyTorch's values and gradients, their parts, their second derivatives, and what they refuse. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { grad, hvp, valueAndGrad } from "../../src/ir/grad.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import * as nn from "../../src/nn/index.ts";
import { hasNative } from "../backends.ts";
import { distance, evaluate, nested, numbers, slopes } from "./evaluate.ts";

type Results = Record<string, { value: number | "NaN"; gradient: unknown }>;
type Case = {
  name: string;
  loss: string;
  input: unknown;
  target: unknown;
  settings: Record<string, any>; // any: each loss has settings of its own
  results: Results;
};
const { cases } = JSON.parse(readFileSync(new URL("../golden/losses.json", import.meta.url), "utf8")) as {
  cases: Case[];
};

// any: the walk over all losses passes each case's own settings
const byName: Record<string, nn.Loss<any>> = {
  mse: nn.mse,
  mae: nn.mae,
  huber: nn.huber,
  bceWithLogits: nn.binaryCrossEntropy,
  crossEntropy: nn.crossEntropy,
  hinge: nn.hinge,
  multiClassHinge: nn.multiClassHinge,
  kl: nn.klDivergence,
};

/** The case as a loss, its two inputs and what it should give. */
function open(c: Case) {
  const classes =
    Number.isInteger([c.target].flat(9)[0]) &&
    !Array.isArray((c.target as unknown[])[0]) &&
    Array.isArray((c.input as unknown[])[0]);
  const loss = byName[c.loss === "hinge" && classes ? "multiClassHinge" : c.loss]!;
  return { loss, x: nested(c.input), t: nested(c.target, classes ? "i32" : "f64") };
}

describe.each(cases)("$name", (c) => {
  const { loss, x, t } = open(c);
  test.each(Object.keys(c.results))("%s", async (reduction) => {
    const options =
      reduction === "batchmean" ? { per: "example" } : { ...c.settings, reduction: reduction as nn.Reduction };
    const [y, g] = await evaluate(({ x, t }) => valueAndGrad((at: Tensor) => loss(at, t, options))(x), { x, t });
    const expected = c.results[reduction]!;
    expect(distance([...y.data], [Number(expected.value)])).toBeLessThan(1e-12);
    expect(distance([...g.data], [expected.gradient].flat(9) as number[])).toBeLessThan(1e-12);
  });

  test.runIf(hasNative)("native in f32", async () => {
    const single = { x: value(x.shape, x.data), t: t.dtype === "i32" ? t : value(t.shape, t.data) };
    const f = ({ x, t }: { x: Tensor; t: Tensor }) => valueAndGrad((at: Tensor) => loss(at, t, c.settings))(x);
    const wide = numbers(await evaluate(f, { x, t }));
    expect(distance(numbers(await evaluate(f, single, "native")), wide)).toBeLessThan(2e-6);
  });
});

test("every loss has a golden case", () => {
  const tested = new Set(cases.map((c) => open(c).loss));
  expect(Object.values(byName).filter((loss) => !tested.has(loss))).toEqual([]);
});

describe("second derivatives", () => {
  const x = [0.7, -1.3, 2.2, -0.1, 0.4, 1.1];
  const v = [0.3, -0.8, 0.5, 1, -0.2, 0.6];
  const probabilities = [0.1, 0.2, 0.7, 0.5, 0.25, 0.25];
  const smooth: [string, nn.Loss<any>, Value, object?][] = [
    ["mse", nn.mse, value([2, 3], v, "f64")],
    ["huber", nn.huber, value([2, 3], v, "f64")],
    ["binaryCrossEntropy", nn.binaryCrossEntropy, value([2, 3], probabilities, "f64"), { posWeight: 3 }],
    ["crossEntropy", nn.crossEntropy, value([2], [2, 0], "i32"), { labelSmoothing: 0.1, classWeights: [1, 2, 3] }],
    ["crossEntropy of probabilities", nn.crossEntropy, value([2, 3], probabilities, "f64")],
    ["multiClassHinge", nn.multiClassHinge, value([2], [2, 0], "i32"), { power: 2 }],
  ];
  test.each(smooth)("%s", async (_, loss, t, options) => {
    const args = { x: value([2, 3], x, "f64"), v: value([2, 3], v, "f64"), t };
    const f = (at: Tensor, target: Tensor) => loss(at, target, options);
    const product = await evaluate(({ x, v, t }) => hvp(f, x, v, t), args);
    // the same along a line: (∇f(x + h v) − ∇f(x − h v)) / 2h
    const h = 1e-5;
    const slope = (s: number) => ({
      x: value(
        [2, 3],
        x.map((a, k) => a + s * h * v[k]!),
        "f64",
      ),
      t,
    });
    const at = async (s: number) => numbers(await evaluate(({ x, t }) => grad(f)(x, t), slope(s)));
    const [up, down] = [await at(1), await at(-1)];
    expect(
      distance(
        [...product.data],
        up.map((a, k) => (a - down[k]!) / (2 * h)),
      ),
    ).toBeLessThan(1e-8);
  });
});

describe("parts", () => {
  const rows = [
    [0.5, -1, 2],
    [1.5, 1.5, -0.5],
    [-2, 0.75, 0.5],
    [4, -3, 1],
    [0, 1, 0],
  ];
  const labels = [2, -100, 1, 0, 1];
  const of = (from: number, to: number) =>
    evaluate(({ x, t }) => nn.crossEntropy.parts(x, t, { classWeights: [1, 2, 3], ignoreIndex: -100 }), {
      x: nested(rows.slice(from, to)),
      t: nested(labels.slice(from, to), "i32"),
    });

  test("of a small and a large batch add up to those of both", async () => {
    const [a, b, both] = [await of(0, 2), await of(2, 5), await of(0, 5)];
    expect(a.total.data[0]! + b.total.data[0]!).toBeCloseTo(both.total.data[0]!, 14);
    expect([a.weight.data[0], b.weight.data[0], both.weight.data[0]]).toEqual([3, 5, 8]);
  });

  test("weight of a plain loss is its number of entries", async () => {
    const { weight } = await evaluate(({ x }) => nn.mse.parts(x, x.mul(2)), { x: nested(rows) });
    expect(weight.data[0]).toBe(15);
  });
});

test("axes before the classes are examples too", async () => {
  const x = [0.7, -1.3, 2.2, -0.1, 0.4, 1.1, 0.2, 0.3, -0.4, 1, 2, 3];
  const t = [2, 0, 1, 1];
  const flat = await evaluate(({ x, t }) => nn.crossEntropy(x, t), {
    x: value([4, 3], x, "f64"),
    t: value([4], t, "i32"),
  });
  const deep = await evaluate(({ x, t }) => nn.crossEntropy(x, t), {
    x: value([2, 2, 3], x, "f64"),
    t: value([2, 2], t, "i32"),
  });
  expect(deep.data[0]).toBe(flat.data[0]);
});

test("binary weights are factors, and integer or bool targets are cast", async () => {
  const args = {
    x: value([3], [0.7, -1.3, 2.2], "f64"),
    t: value([3], [1, 0, 1], "i32"),
    w: value([3], [1, 2, 0], "f64"),
  };
  const y = await evaluate(({ x, t, w }) => nn.binaryCrossEntropy(x, t, { weights: w }), args);
  const each = (x: number, t: number) => -Math.log(t ? 1 / (1 + Math.exp(-x)) : 1 - 1 / (1 + Math.exp(-x)));
  expect(y.data[0]).toBeCloseTo((each(0.7, 1) + 2 * each(-1.3, 0)) / 3, 14);
});

test("Kullback-Leibler by its target, too", async () => {
  const [x, t] = [
    [-1, -0.5, -2],
    [0.2, 0.5, 0.3],
  ];
  const g = await evaluate(({ x, t }) => grad((at: Tensor) => nn.klDivergence(x, at, { per: "example" }))(t), {
    x: value([1, 3], x, "f64"),
    t: value([1, 3], t, "f64"),
  });
  const loops = (t: number[]) => t.reduce((sum, p, k) => sum + p * (Math.log(p) - x[k]!), 0);
  expect(distance([...g.data], slopes(loops, t))).toBeLessThan(1e-9);
});

describe("refused", () => {
  const f = (...shape: number[]) => input(shape);
  const ints = (...shape: number[]) => input(shape, "i32");

  test("prediction [n, 1] against target [n], with both shapes and the remedy", () => {
    expect(() => nn.mse(f(8, 1), f(8))).toThrow(
      "mse: prediction f32[8,1] and target f32[8] must have one shape; they are never broadcast\n" +
        "  hint: they hold the same number of entries: give one the other's shape with target.unsqueeze(-1)",
    );
    expect(() => nn.binaryCrossEntropy(f(8), ints(8, 1))).toThrow("with prediction.unsqueeze(-1)");
    expect(() => nn.huber(f(1, 8), f(8))).toThrow("with target.unsqueeze(0)");
    expect(() => nn.mae(f(8, 2), f(8))).toThrow(/never broadcast\n {2}at/);
  });

  test("shapes and numbers that make no sense", () => {
    expect(() => nn.mse(f(2), input([2], "f64"))).toThrow('hint: target.cast("f32")');
    expect(() => nn.mse(ints(2), f(2))).toThrow("the prediction i32[2] is not a float");
    expect(() => nn.huber(f(2), f(2), { delta: 0 })).toThrow("delta must be positive, got 0");
    expect(() => nn.crossEntropy(f(4, 3), ints(4, 1))).toThrow("hint: target.squeeze(-1)");
    expect(() => nn.crossEntropy(f(4, 3), ints(4, 3))).toThrow('one-hot targets are probabilities: target.cast("f32")');
    expect(() => nn.crossEntropy(f(4, 3), ints(5))).toThrow(
      "logits f32[4,3] need integer targets of shape [4], got i32[5]",
    );
    expect(() => nn.crossEntropy(f(4, 3), f(4))).toThrow(
      "the target f32[4] has the shape of class numbers, and is no integer; logits f32[4,3] need class numbers i32[4] or probabilities f32[4,3]",
    );
    expect(() => nn.crossEntropy(f(4, 5, 3), f(4, 5, 1))).toThrow('value([4,5], numbers, "i32")');
    expect(() => nn.crossEntropy(f(4, 1), ints(4))).toThrow("binaryCrossEntropy takes one logit");
    expect(() => nn.crossEntropy(f(4, 3), ints(4), { labelSmoothing: 2 })).toThrow("must lie in 0 … 1");
    expect(() => nn.crossEntropy(f(4, 3), ints(4), { classWeights: [1, 2] })).toThrow("one entry for each of the 3");
    expect(() => nn.crossEntropy(f(4, 3), f(4, 3), { ignoreIndex: 1 })).toThrow("ignoreIndex needs integer targets");
    // @ts-expect-error no such reduction
    expect(() => nn.mse(f(2), f(2), { reduction: "none" })).toThrow('unknown reduction "none"');
  });

  test("what is no Tensor", () => {
    const v = value([2], [1, 2]);
    // any: the point is what the types forbid
    expect(() => nn.mse(v as any, v as any)).toThrow(
      "loss: expected the prediction as a Tensor, got a Value f32[2]\n  hint: a loss works inside of a step, and on Values through jit",
    );
    expect(() => nn.crossEntropy.parts(f(4, 3), [0, 1] as any)).toThrow("the target as a Tensor, got an array of 2");
  });

  test("labels out of range", async () => {
    const x = value([2, 3], [1, 2, 3, 4, 5, 6]);
    const loss = (t: number[], options = {}) =>
      evaluate(({ x, t }) => nn.crossEntropy(x, t, options), { x, t: value([2], t, "i32") });
    await expect(loss([0, 3])).rejects.toThrow(
      "crossEntropy: logits f32[2,3] have 3 classes: t holds 3 at position 1; it must lie in 0 … 2",
    );
    await expect(loss([-1, 0])).rejects.toThrow("t holds -1");
    await expect(loss([-1, 0], { ignoreIndex: -1 })).resolves.toBeDefined();
  });
});
