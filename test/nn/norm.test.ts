/** Norms against loops written from their formulas, slopes by finite differences, what `fit` keeps, and messages. */
import { describe, expect, test } from "vitest";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import {
  apply,
  type BatchNormOptions,
  batchNorm1d,
  batchNorm2d,
  batchNorm3d,
  groupNorm,
  init,
  instanceNorm1d,
  instanceNorm2d,
  instanceNorm3d,
  layerNorm,
  linear,
  type Module,
  mse,
  rmsNorm,
  sequential,
} from "../../src/nn/index.ts";
import { sgd } from "../../src/optim/index.ts";
import { fit, predict } from "../../src/train/index.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { distance, evaluate, numbers, slopes, some } from "./evaluate.ts";

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const mean = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0) / xs.length;
const spread = (xs: readonly number[], correction = 0) =>
  xs.reduce((a, x) => a + (x - mean(xs)) ** 2, 0) / (xs.length - correction);

/** Elements that are normalised as one have the same label; those scaled as one have the same place among `weight`. */
type Plan = {
  label: (n: number, c: number, rest: number) => string;
  place: (n: number, c: number, rest: number) => number;
};

function normalised(
  x: readonly number[],
  shape: readonly number[],
  plan: Plan,
  weight: number[],
  bias: number[],
  e: number,
) {
  const [, channels = 1, ...space] = shape;
  const size = product(space);
  const at = x.map((_, i) => [Math.floor(i / size / channels), Math.floor(i / size) % channels, i % size] as const);
  const groups = new Map<string, number[]>();
  for (const [i, v] of x.entries())
    groups.set(plan.label(...at[i]!), [...(groups.get(plan.label(...at[i]!)) ?? []), v]);
  return x.map((v, i) => {
    const all = groups.get(plan.label(...at[i]!))!;
    const k = plan.place(...at[i]!);
    return ((v - mean(all)) / Math.sqrt(spread(all) + e)) * (weight[k] ?? 1) + (bias[k] ?? 0);
  });
}

const byChannel = (_: number, c: number) => c;
type Case = { name: string; net: Module<any, readonly [], Tensor>; shape: number[]; plan: Plan; epsilon?: number };
const cases: Case[] = [
  { name: "batchNorm1d", net: batchNorm1d(3), shape: [5, 3], plan: { label: (_, c) => `${c}`, place: byChannel } },
  {
    name: "batchNorm2d",
    net: batchNorm2d(2),
    shape: [2, 2, 2, 3],
    plan: { label: (_, c) => `${c}`, place: byChannel },
  },
  {
    name: "batchNorm3d",
    net: batchNorm3d(2),
    shape: [2, 2, 1, 2, 2],
    plan: { label: (_, c) => `${c}`, place: byChannel },
  },
  {
    name: "instanceNorm1d",
    net: instanceNorm1d(2, { affine: true }),
    shape: [2, 2, 4],
    plan: { label: (n, c) => `${n} ${c}`, place: byChannel },
  },
  {
    name: "instanceNorm2d",
    net: instanceNorm2d(2),
    shape: [2, 2, 2, 2],
    plan: { label: (n, c) => `${n} ${c}`, place: byChannel },
  },
  {
    name: "instanceNorm3d",
    net: instanceNorm3d(2, { epsilon: 0.5 }),
    shape: [2, 2, 2, 1, 2],
    plan: { label: (n, c) => `${n} ${c}`, place: byChannel },
    epsilon: 0.5,
  },
  {
    name: "groupNorm",
    net: groupNorm(2, 4),
    shape: [2, 4, 3],
    plan: { label: (n, c) => `${n} ${c >> 1}`, place: byChannel },
  },
  {
    name: "layerNorm of two axes",
    net: layerNorm([3, 2]),
    shape: [4, 3, 2],
    plan: { label: (n) => `${n}`, place: (_, c, k) => c * 2 + k },
  },
  {
    name: "layerNorm of one axis",
    net: layerNorm(4, { epsilon: 0.1 }),
    shape: [2, 3, 4],
    plan: { label: (n, c) => `${n} ${c}`, place: (_, __, k) => k },
    epsilon: 0.1,
  },
];

/** Not 1 and 0, which would hide a weight in the wrong place. */
const stirred = (params: unknown) => {
  let from = 50;
  return tree.map((v: Value) => {
    from += 7;
    return value(v.shape, some(v.data.length, from), "f64");
  }, params);
};

describe.each(cases)("$name", ({ net, shape, plan, epsilon = 1e-5 }) => {
  test("value and every slope", async () => {
    const first = init(net, 1, { dtype: "f64" });
    const params = stirred(first.params);
    const x = value(
      shape,
      some(product(shape)).map((v) => 2 * v + 1),
      "f64",
    );
    const c = value(shape, some(product(shape), 30), "f64");
    const half = numbers(params).length / 2;
    const loops = (at: number[]) => {
      const [w, b, rest] = [at.slice(0, half), at.slice(half, 2 * half), at.slice(2 * half)];
      return normalised(rest, shape, plan, w, b, epsilon);
    };
    const both = [...numbers(params), ...x.data];
    const f = (all: { params: any; state: any; x: Tensor; c: Tensor }) =>
      valueAndGrad(({ params, x }: { params: any; x: Tensor }) => {
        const [y] = apply(net, { params, state: all.state }, x, { training: true });
        return [y.square().add(y).mul(all.c).sum(), y] as const;
      })({ params: all.params, x: all.x });
    const [[, y], slope] = await evaluate(f, { params, state: first.state, x, c });
    expect(distance([...(y as Value).data], loops(both))).toBeLessThan(1e-13);
    const score = (at: number[]) => loops(at).reduce((sum, v, k) => sum + (v * v + v) * c.data[k]!, 0);
    expect(distance(numbers(slope), slopes(score, both))).toBeLessThan(1e-7);
  });
});

test("rmsNorm divides by the root of the mean square, and takes the machine's epsilon", async () => {
  const xs = [3, -4, 0, 1, 0, 0, 0, 0];
  for (const [dtype, epsilon] of [
    ["f32", 2 ** -23],
    ["f64", 2 ** -52],
  ] as const) {
    const f = ({ x }: { x: Tensor }) => apply(rmsNorm(4, { affine: false }), { params: {} }, x)[0];
    const y = await evaluate(f, {
      x: value(
        [2, 4],
        xs.map((v) => v * 1e-4),
        dtype,
      ),
    });
    const expected = [0, 4].flatMap((from) => {
      const row = xs.slice(from, from + 4).map((v) => v * 1e-4);
      return row.map((v) => v / Math.sqrt(mean(row.map((u) => u * u)) + epsilon));
    });
    expect(distance([...y.data], expected)).toBeLessThan(1e-6);
  }
});

describe.each(backends)("on %s", (backend) => {
  test.each([batchNorm1d(2), layerNorm(256), groupNorm(1, 256)])("digits survive a large mean (%#)", async (net) => {
    const xs = some(512).map((v) => Math.fround(1e4 + v));
    const shape = net.children && "running_mean" in net.children ? [256, 2] : [2, 256];
    const column = shape[0] === 256;
    const rows = [0, 1].map((k) => xs.filter((_, i) => (column ? i % 2 : i >> 8) === k));
    const { params, state } = init(net as Module, 1);
    const f = (all: { params: any; state: any; x: Tensor }) => apply(net, all, all.x, { training: true })[0];
    const y = await evaluate(f, { params, state, x: value(shape, xs) }, backend);
    const expected = xs.map((v, i) => {
      const row = rows[column ? i % 2 : i >> 8]!;
      return (v - mean(row)) / Math.sqrt(spread(row) + 1e-5);
    });
    expect(distance([...y.data], expected)).toBeLessThan(4e-3); // half a unit in the last place of 1e4 is 5e-4
  });

  test("running statistics: the weight of the new value, and the unbiased variance", async () => {
    const next = async (options: BatchNormOptions): Promise<Record<string, Value>> => {
      const net = batchNorm1d(1, options);
      const { params, state } = init(net, 1);
      const f = (all: { params: any; state: any; x: Tensor }) => apply(net, all, all.x, { training: true })[1];
      return evaluate(f, { params, state, x: value([4, 1], [0, 1, 2, 4]) }, backend);
    };
    // mean 7/4, unbiased variance 35/12: what PyTorch 2.13 gives, too
    const { running_mean, running_var } = await next({});
    expect(running_mean!.data[0]).toBeCloseTo(0.175, 6);
    expect(running_var!.data[0]).toBeCloseTo(0.9 + 0.1 * (35 / 12), 6);
    expect((await next({ momentum: 0 })).running_var!.data[0]).toBe(1);
    const all = await next({ momentum: null });
    expect([...all.running_mean!.data, ...all.num_batches_tracked!.data]).toEqual([1.75, 1]);
  });
});

describe("what depends on the options", () => {
  test("children, and their types", () => {
    const plain = init(batchNorm2d(2), 1);
    expect([...plain.params.weight.data, ...plain.params.bias.data]).toEqual([1, 1, 0, 0]);
    expect([...plain.state.running_mean.data, ...plain.state.running_var.data]).toEqual([0, 0, 1, 1]);
    const counted = init(batchNorm2d(2, { affine: false, momentum: null }), 1);
    expect(counted.params).toEqual({});
    expect(counted.state.num_batches_tracked.shape).toEqual([]);
    expect(init(batchNorm2d(2, { trackRunningStats: false }), 1).state).toEqual({});
    expect(init(instanceNorm2d(2), 1)).toEqual({ params: {}, state: {} });
    expect(init(instanceNorm2d(2, { trackRunningStats: true }), 1).state.running_var.shape).toEqual([2]);
    expect(init(layerNorm([2, 3], { bias: false }), 1).params.weight.shape).toEqual([2, 3]);
    // @ts-expect-error: there is no bias
    expect(init(layerNorm(2, { bias: false }), 1).params.bias).toBe(undefined);
    // @ts-expect-error: there is no weight
    expect(init(groupNorm(1, 2, { affine: false }), 1).params.weight).toBe(undefined);
  });

  test("a state of statistics is a constant for the gradient", async () => {
    const net = batchNorm1d(1);
    const { params, state } = init(net, 1, { dtype: "f64" });
    const f = (all: { params: any; state: any; x: Tensor }) =>
      valueAndGrad((x: Tensor) => apply(net, all, x, { training: true })[1].running_mean.sum())(all.x)[1];
    const slope = await evaluate(f, { params, state, x: value([3, 1], [1, 2, 4], "f64") });
    expect([...slope.data]).toEqual([0, 0, 0]);
  });
});

describe("in fit", () => {
  const xs = [1, 10, 2, 30, 6, 20, 4, 0, 5, 50, 9, 40];
  const data = { x: value([6, 2], xs), y: value([6, 1], [1, 2, 3, 4, 5, 6]) };
  const net = sequential(batchNorm1d(2, { momentum: 0.25 }), linear(2, 1));
  const plain = { net, loss: mse, optimizer: sgd(), lr: 0.01, data: { train: data }, shuffle: false, seed: 1 } as const;

  test.each(backends)("running statistics move with every batch and serve the prediction: %s", async (backend) => {
    const { params, state } = await fit({ ...plain, batch: 3, epochs: 2, backend });
    const expected = [0, 1].map((c) => {
      let at = { mean: 0, variance: 1 };
      for (const from of [0, 3, 0, 3]) {
        const batch = [0, 1, 2].map((i) => xs[(from + i) * 2 + c]!);
        at = { mean: 0.75 * at.mean + 0.25 * mean(batch), variance: 0.75 * at.variance + 0.25 * spread(batch, 1) };
      }
      return at;
    });
    const kept = state.layers[0];
    expect(
      distance(
        [...kept.running_mean.data],
        expected.map((e) => e.mean),
      ),
    ).toBeLessThan(1e-6);
    expect(
      distance(
        [...kept.running_var.data],
        expected.map((e) => e.variance),
      ),
    ).toBeLessThan(1e-6);

    const y = await predict(net, { params, state }, value([1, 2], [3, 7]), { backend });
    const [norm, dense] = params.layers;
    const hidden = [3, 7].map((v, c) => {
      const { mean: m, variance } = expected[c]!;
      return ((v - m) / Math.sqrt(variance + 1e-5)) * norm.weight.data[c]! + norm.bias.data[c]!;
    });
    const dot = hidden.reduce((sum, v, c) => sum + v * dense.weight.data[c]!, dense.bias.data[0]!);
    expect(y.data[0]).toBeCloseTo(dot, 5);
  });

  test("a last batch of one row is refused with the reason", async () => {
    await expect(fit({ ...plain, batch: 5, epochs: 1, backend: "js" })).rejects.toThrow(
      /batchNorm1d: input f32\[1,2\] has one value per channel, where a variance takes two\n +hint: training takes batches of two rows and more, the last one of an epoch too/,
    );
  });
});

describe("messages", () => {
  const call =
    (net: Module, x: Tensor, training = false) =>
    () => {
      const { params, state } = init(net, 1);
      const traced = (t: unknown) => tree.map((v: Value) => input(v.shape, v.dtype), t);
      return apply(net, { params: traced(params), state: traced(state) }, x, { training });
    };

  test("channels, axes and dtype", () => {
    expect(call(sequential(batchNorm2d(3)), input([2, 4, 5, 5]))).toThrow(
      /^batchNorm2d: input f32\[2,4,5,5\] has 4 channels on axis 1, this layer expects 3\n {2}at net\.layers\.0 \(test/,
    );
    expect(call(batchNorm2d(3), input([2, 5, 5, 3]))).toThrow(
      "hint: channels come before space here: x.permute([0, 3, 1, 2])",
    );
    expect(call(batchNorm1d(3), input([2, 3, 4, 4]))).toThrow("has 4 axes, it must have 2 or 3");
    expect(call(instanceNorm1d(3), input([2, 3]))).toThrow("instanceNorm1d: input f32[2,3] has 2 axes, it must have 3");
    expect(call(groupNorm(1, 3), input([3]))).toThrow("groupNorm: input f32[3] has no axis 1, this layer expects 3");
    expect(call(layerNorm([2, 3]), input([5, 3]))).toThrow("layerNorm: input f32[5,3] does not end in [2,3]");
    expect(call(rmsNorm(4), input([5, 4, 3]))).toThrow("hint: the features are on axis 1");
    expect(call(batchNorm1d(3), input([2, 3], "f64"))).toThrow('hint: cast it first: x.cast("f32")');
    expect(call(layerNorm(3), input([2, 3], "i32"))).toThrow("layerNorm: input i32[2,3] is not a float");
  });

  test("too few values", () => {
    expect(call(batchNorm1d(2), input([1, 2]), true)).toThrow("has one value per channel");
    expect(call(batchNorm2d(2), input([0, 2, 3, 3]), true)).toThrow("has no value per channel");
    expect(call(batchNorm2d(2), input([1, 2, 1, 1]))).not.toThrow();
    expect(call(batchNorm2d(2, { trackRunningStats: false }), input([1, 2, 1, 1]))).toThrow(
      "has one value per channel",
    );
    expect(call(instanceNorm2d(2), input([4, 2, 1, 1]))).toThrow("has one value per channel and example");
  });

  test("options", () => {
    expect(() => batchNorm2d(0)).toThrow("batchNorm2d(0): sizes must be whole numbers from 1 on");
    expect(() => batchNorm2d(2, { momentum: 99 })).toThrow("hint: a momentum of Keras is 1 minus that");
    expect(() => batchNorm2d(2, { epsilon: -1 })).toThrow("batchNorm2d: epsilon must be at least 0, got -1");
    expect(() => groupNorm(3, 4)).toThrow("groupNorm(3, 4): 3 groups do not divide 4 channels");
    expect(() => layerNorm([2.5])).toThrow("layerNorm([2.5]): sizes must be");
  });
});
