/** Gradients changed before the rule sees them, and taken elsewhere: Optax' and the papers' numbers, and `fit` with them. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Tensor, type Value, value, valueAndGrad } from "../../src/ir/index.ts";
import { batchNorm1d, dropout, init, linear, mse, sequential, tanh } from "../../src/nn/index.ts";
import {
  adam,
  agc,
  centralize,
  chain,
  ema,
  freeze,
  matrices,
  momentum,
  named,
  noise,
  only,
  sam,
  sgd,
  type Transform,
  update,
  valueAndGradFor,
  wrappers,
} from "../../src/optim/index.ts";
import { foldIn, key, normal } from "../../src/random.ts";
import { Run } from "../../src/run/run.ts";
import { type FitOptions, fit } from "../../src/train/index.ts";
import { leaves } from "../../src/tree.ts";
import { distance, type Feeds, feeds, flat, type Nested, type Tensors, type Values, values } from "./descent.ts";

type Golden = {
  problem: { X: Nested; T: Nested; start: Record<string, Nested> };
  steps: number[];
  cases: { kind: "agc" | "centralize"; settings: any; name: string; p: Nested; g: Nested; u: Nested }[];
  sam: { library: string; rule: string; settings: any; points: Record<string, Nested[]> }[];
};
const golden = JSON.parse(
  readFileSync(new URL("../golden/gradient-transforms.json", import.meta.url), "utf8"),
) as Golden;

/** What a transform makes of constant gradients, at each of some steps. */
async function directions(rule: Transform, params: Values, gradients: Values, steps = 1): Promise<Values> {
  const run = await Run.start({ w: params, opt: rule.init(params) }, { backend: "js" });
  const loop = run.loop<Feeds, { u: Tensors }, Values>(
    (s, { step, lr }, g) => {
      const [u, opt] = rule.update<Tensors>(g, s.opt, { params: s.w, step, lr });
      return { state: { w: s.w, opt }, output: { u } };
    },
    { data: gradients },
  );
  const { output } = await loop.take(
    steps,
    feeds(steps, () => 1),
  );
  return output.u;
}

describe("golden directions", () => {
  test.each(golden.cases.map((c) => [`${c.kind} ${JSON.stringify(c.settings)} of ${c.name}`, c] as const))(
    "%s",
    async (_, { kind, settings: { limit, ...options }, p, g, u }) => {
      const rule = kind === "agc" ? agc(limit, options) : centralize();
      const { w } = await directions(rule, values({ w: p }, "f64"), values({ w: g }, "f64"));
      expect(distance(w!.data, flat(u))).toBeLessThan(1e-14);
    },
  );

  test("agc and centralize may be for some parameters alone", async () => {
    const p = values({ A: [[1, 2]], b: [1, 2] }, "f64");
    const g = values({ A: [[30, 40]], b: [30, 40] }, "f64");
    const { A, b } = await directions(chain(only(matrices, centralize()), only(named(/b/), agc(0.1))), p, g);
    expect([...A!.data]).toEqual([-5, 5]);
    // ‖g‖ is 50, and a tenth of ‖p‖ is √5 / 10
    expect(distance(b!.data, [0.6 * 0.1 * Math.sqrt(5), 0.8 * 0.1 * Math.sqrt(5)])).toBeLessThan(1e-15);
  });
});

describe("sam", () => {
  const { X, T, start } = golden.problem;
  const constants = values({ X, T }, "f64");
  const loss =
    ({ X, T }: Tensors) =>
    (p: Tensors) =>
      X!.matmul(p.A!).add(p.b!).tanh().sub(T!).square().sum();
  const rules = { sgd: sgd(), momentum: momentum(), adam: adam({ dialect: "optax" }) };

  async function trajectory(rule: Transform, lr: number, params: Values, data: Values, f = loss, steps = 50) {
    const run = await Run.start({ w: params, opt: rule.init(params) }, { backend: "js" });
    const loop = run.loop<Feeds, { w: Tensors; loss: Tensor }, Values>(
      (s, { step, lr }, data) => {
        const [y, g] = valueAndGradFor<Tensors, Tensor>(rule, f(data))(s.w);
        const [w, opt] = update(rule, g, s.opt, { params: s.w, step, lr });
        return { state: { w, opt }, output: { w, loss: y } };
      },
      { data },
    );
    const { output } = await loop.take(
      steps,
      feeds(steps, () => lr),
    );
    return output;
  }
  const row = ({ data, shape }: Value, k: number) =>
    [...data].slice((k * data.length) / shape[0]!, ((k + 1) * data.length) / shape[0]!);

  test.each(golden.sam.map((c) => [`${c.rule} ${JSON.stringify(c.settings)}, ${c.library}`, c] as const))(
    "%s",
    async (_, { rule, settings: { lr, ...options }, points }) => {
      const { w } = await trajectory(
        sam(rules[rule as keyof typeof rules], options),
        lr,
        values(start, "f64"),
        constants,
      );
      golden.steps.forEach((t, k) => {
        for (const name of ["A", "b"]) {
          expect(distance(row(w[name]!, t - 1), flat(points[name]![k]!)), `${name}, step ${t}`).toBeLessThan(1e-10);
        }
      });
    },
  );

  test("reports the loss of where it stands, and stays where the gradient is 0", async () => {
    const f = () => (p: Tensors) => p.a!.square().sum();
    const { w, loss } = await trajectory(sam(sgd(), { rho: 0.5 }), 0.25, values({ a: [1] }, "f64"), {}, f, 2);
    // 1 → 1 − ¼ · 2 · 1.5 = ¼ → ¼ − ¼ · 2 · ¾
    expect([...loss.data]).toEqual([1, 0.0625]);
    expect([...w.a!.data]).toEqual([0.25, -0.125]);
    const { w: still } = await trajectory(sam(sgd()), 0.25, values({ a: [0, 0] }, "f64"), {}, f, 1);
    expect([...still.a!.data]).toEqual([0, 0]);
  });

  test("what is frozen does not climb and has no part in the norm", async () => {
    // (a b)²: the slope by a is 2 a b², taken at a + ρ alone
    const f = () => (p: Tensors) => p.a!.mul(p.b!).square().sum();
    const from = values({ a: [1], b: [2] }, "f64");
    const { w } = await trajectory(freeze(named(/b/), sam(sgd(), { rho: 0.5 })), 0.1, from, {}, f, 1);
    expect(w.a!.data[0]).toBeCloseTo(1 - 0.1 * 2 * 1.5 * 4, 14);
    expect(w.b!.data[0]).toBe(2);
  });

  test("what is evaluated is still the inner rule's affair", () => {
    expect(sam(ema(sgd())).evaluated).toBeDefined();
    expect(ema(sam(sgd())).climb).toBeDefined();
    expect(sam(adam(), { rho: 0.1 }).describe).toBe(`sam(${adam().describe}; rho 0.1)`);
    expect(sam(sgd(), { adaptive: true }).describe).toBe("sam(sgd(torch); rho 0.5, adaptive, eta 0.01)");
  });

  test("refuses what cannot be meant", () => {
    expect(() => sam(adam as never)).toThrow(/sam: adam makes a transform and is none/);
    expect(() => sam(sam(sgd()))).toThrow(/says already where the gradient is taken/);
    expect(() => sam(freeze(named(/b/), sgd()))).toThrow(/must go around the whole rule/);
    for (const rho of [0, -1, Number.NaN, "1"]) {
      expect(() => sam(sgd(), { rho: rho as number })).toThrow(/rho must be a finite number > 0, got/);
    }
    expect(() => sam(sgd(), { adaptive: true, eta: -1 })).toThrow(/eta must be a finite number ≥ 0, got -1/);
    expect(() => sam(sgd(), { eta: 0.1 })).toThrow(/eta is for the adaptive form/);
    expect(() => sam(sgd(), { adaptive: 1 as never })).toThrow(/adaptive must be true or false, got 1/);
    expect(() => sam(sgd(), { p: 2 } as never)).toThrow(/sam: there is no option p.*it takes rho, adaptive, eta/s);
  });
});

describe("sam in fit", () => {
  const n = 12;
  const x = value(
    [n, 2],
    Float64Array.from({ length: n * 2 }, (_, k) => Math.sin(k * 2.3)),
    "f64",
  );
  const y = value(
    [n, 1],
    Float64Array.from({ length: n }, (_, k) => Math.cos(k)),
    "f64",
  );
  const net = sequential(linear(2, 6), batchNorm1d(6), tanh, dropout(0.5), linear(6, 1));
  const options: FitOptions<typeof net> = {
    net,
    loss: mse,
    optimizer: sgd(),
    lr: 0.1,
    data: { train: { x, y } },
    batch: 6,
    steps: 1,
    seed: 4,
    start: init(net, 4, { dtype: "f64" }),
    backend: "js",
  };
  const numbers = (t: unknown) => leaves<Value>(t).flatMap(({ data }) => [...data]);

  test("running statistics are those of the first pass, and both passes draw the same dropout", async () => {
    const plain = await fit(options);
    const far = await fit({ ...options, optimizer: sam(sgd(), { rho: 0.5 }) });
    expect(numbers(far.state)).toEqual(numbers(plain.state));
    expect(distance(numbers(far.params), numbers(plain.params))).toBeGreaterThan(1e-3);
    const near = await fit({ ...options, optimizer: sam(sgd(), { rho: 1e-9 }) });
    expect(distance(numbers(near.params), numbers(plain.params))).toBeLessThan(1e-8);
    expect(far.history[0]!.trainLoss).toBe(plain.history[0]!.trainLoss);
  });

  test("each of accumulated batches climbs by its own gradient", async () => {
    const line = linear(1, 1, { bias: false });
    const [xs, ys] = [
      [1, -2, 3, 0.5, 2],
      [2, 1, -1, 0.5, 1],
    ] as const;
    const start = { params: { weight: value([1, 1], [0.3], "f64") }, state: {} };
    const r = await fit({
      net: line,
      loss: mse,
      optimizer: sam(sgd(), { rho: 0.2 }),
      lr: 0.1,
      data: { train: { x: value([5, 1], xs, "f64"), y: value([5, 1], ys, "f64") } },
      batch: 2,
      accumulate: 3,
      shuffle: false,
      steps: 3,
      start,
      backend: "js",
    });
    let w = 0.3;
    const slope = (w: number, rows: readonly number[]) =>
      rows.reduce((g, i) => g + 2 * xs[i]! * (w * xs[i]! - ys[i]!), 0);
    for (let step = 0; step < 3; step++) {
      const batches = [[0, 1], [2, 3], [4]];
      const sum = batches.reduce((g, rows) => g + slope(w + 0.2 * Math.sign(slope(w, rows)), rows), 0);
      w -= (0.1 * sum) / 5;
    }
    expect(r.params.weight.data[0]).toBeCloseTo(w, 13);
  });
});

describe("noise", () => {
  const zero = values({ a: [[0, 0, 0]], b: [0, 0] }, "f64");

  test("is the host's draws of (seed, path, step, element), with the paper's variance", async () => {
    const u = await directions(noise({ eta: 0.3, gamma: 0.55, seed: 9 }), zero, zero, 4);
    for (const [path, size] of [
      ["a", 3],
      ["b", 2],
    ] as const) {
      const wanted = [1, 2, 3, 4].flatMap((step) =>
        Array.from({ length: size }, (_, i) => {
          const mine = foldIn(foldIn(foldIn(key(9), "gradient noise"), path), step);
          return Math.sqrt(0.3 / step ** 0.55) * normal(mine, i);
        }),
      );
      expect(distance(u[path]!.data, wanted)).toBeLessThan(1e-13);
    }
  });

  test("joins the gradient, has the variance it says and mean 0", async () => {
    const n = 40_000;
    const still = { w: value([n], new Float64Array(n), "f64") };
    const ones = { w: value([n], new Float64Array(n).fill(1), "f64") };
    const { w } = await directions(noise({ eta: 1, gamma: 1, seed: 1 }), still, ones, 3);
    for (const t of [0, 1, 2]) {
      const drawn = w!.data.subarray(t * n, (t + 1) * n) as Float64Array;
      const mean = drawn.reduce((a, b) => a + b, 0) / n;
      const variance = drawn.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
      // standard errors: √(σ² / n) of the mean, σ² √(2 / n) of the variance
      expect(Math.abs(mean - 1)).toBeLessThan(4 * Math.sqrt(1 / (t + 1) / n));
      expect(Math.abs(variance * (t + 1) - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    }
  });

  test("of a parameter stays when another is frozen or left out, and has no state", async () => {
    const all = await directions(noise({ seed: 2 }), zero, zero, 2);
    const some = await directions(only(named(/b/), noise({ seed: 2 })), zero, zero, 2);
    expect([...some.b!.data]).toEqual([...all.b!.data]);
    expect([...some.a!.data]).toEqual(Array(6).fill(0));
    expect(noise().init(zero)).toEqual({});
    const other = await directions(noise({ seed: 3 }), zero, zero, 2);
    expect([...other.b!.data]).not.toEqual([...all.b!.data]);
  });

  test("a run in two halves is the run", async () => {
    const rule = chain(noise({ seed: 5 }), adam());
    const steps = async (start: { w: Values; opt: any }, n: number, from: number) => {
      const run = await Run.start(start, { backend: "js" });
      const loop = run.loop<Feeds, object>((s, { step, lr }) => {
        const [, g] = valueAndGrad((p: Tensors) => p.a!.sub(1).square().sum().add(p.b!.square().sum()))(s.w as Tensors);
        const [w, opt] = update(rule, g, s.opt, { params: s.w as Tensors, step, lr });
        return { state: { w, opt }, output: {} };
      });
      await loop.take(
        n,
        feeds(n, () => 0.1, "f64", from),
      );
      return run.state();
    };
    const first = { w: zero, opt: rule.init(zero) };
    const whole = await steps(first, 6, 1);
    const halves = await steps(await steps(first, 3, 1), 3, 4);
    expect(leaves<Value>(halves).map(({ data }) => [...data])).toEqual(
      leaves<Value>(whole).map(({ data }) => [...data]),
    );
  });
});

test("settings out of their domain are refused by name", () => {
  for (const limit of [0, -1, Number.POSITIVE_INFINITY]) {
    expect(() => agc(limit)).toThrow(/agc: the limit must be a finite number > 0, got/);
  }
  expect(() => agc(0.01, { eps: 0 })).toThrow(/agc: eps must be a finite number > 0, got 0.*would stay there/s);
  expect(() => agc(0.01, { epsilon: 1 } as never)).toThrow(/agc: there is no option epsilon/);
  expect(() => noise({ eta: -1 })).toThrow(/noise: eta must be a finite number ≥ 0, got -1/);
  expect(() => noise({ gamma: Number.NaN })).toThrow(/noise: gamma must be/);
  expect(() => noise({ seed: -1 })).toThrow(/seed: expected an integer/);
  expect(() => noise(0.1 as never)).toThrow(/noise: options are an object, got 0.1.*it takes eta, gamma, seed/s);
  expect(() => wrappers.agc.make(sgd(), { limit: 0 })).toThrow(/agc: the limit/);
  expect(wrappers.agc.make(sgd()).describe).toBe("agc(0.01, eps 0.001) → sgd(torch)");
});
