/**
 * Rules that average weights or find their own rate, and what goes around a rule: trajectories of what is trained and of
 * what is evaluated, against the authors' packages, Optax and torch's AveragedModel.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Float } from "../../src/ir/dtype.ts";
import { literal, type Tensor, type Value, value, valueAndGrad } from "../../src/ir/index.ts";
import {
  adam,
  chain,
  clipGlobalNorm,
  type Dialect,
  decay,
  ema,
  freeze,
  groups,
  type Hyper,
  lookahead,
  momentum,
  named,
  type Optimizer,
  optimizers,
  prodigy,
  scaleLr,
  scheduleFreeAdamW,
  scheduleFreeSgd,
  sgd,
  swa,
  update,
  type WrapperName,
  type WrapperRow,
  wrappers,
} from "../../src/optim/index.ts";
import type { BackendName } from "../../src/run/backend.ts";
import { Run } from "../../src/run/run.ts";
import { hasNative } from "../backends.ts";
import { distance, feeds, type Tensors, values } from "./descent.ts";
import { furthest, losses, type Points, type Problems, sideBySide, type Walked } from "./golden.ts";

type Case = Walked<keyof typeof losses> & {
  readonly dialect: Dialect;
  readonly optimizer: keyof typeof rules;
  readonly settings: Readonly<Record<string, number | boolean>>;
  readonly evaluated: Points;
};
type Wrapped = Omit<Case, "optimizer"> & {
  readonly wrapper: WrapperName;
  readonly rule: "adam" | "momentum";
  readonly options: object;
};

const golden = JSON.parse(readFileSync(new URL("../golden/averaging-optimizers.json", import.meta.url), "utf8")) as {
  readonly steps: readonly number[];
  readonly problems: Problems<keyof typeof losses>;
  readonly defaults: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;
  readonly cases: readonly Case[];
  readonly wrapped: readonly Wrapped[];
};

const rules = {
  schedulefreesgd: optimizers.scheduleFreeSgd,
  schedulefreeadamw: optimizers.scheduleFreeAdamW,
  prodigy: optimizers.prodigy,
};

function built(c: Case | Wrapped): Optimizer {
  if ("wrapper" in c) {
    const { make }: WrapperRow = wrappers[c.wrapper];
    return make((c.rule === "adam" ? adam : momentum)({ dialect: c.dialect }), c.options);
  }
  const { lr: _, ...hyper } = c.settings;
  return rules[c.optimizer].make({ dialect: c.dialect, ...hyper } as { dialect: Dialect } & Partial<Hyper>);
}

const walk = (list: readonly (Case | Wrapped)[], dtype: Float, backend: BackendName) =>
  sideBySide(list, list.map(built), { problems: golden.problems, losses }, dtype, backend);

const kinds: (readonly [string, readonly (Case | Wrapped)[]])[] = [
  ...Object.keys(rules).map((rule) => [rule, golden.cases.filter((c) => c.optimizer === rule)] as const),
  ...(["lookahead", "ema", "swa"] as const).map(
    (name) => [name, golden.wrapped.filter((c) => c.wrapper === name)] as const,
  ),
];

/** Of each variant its last problem: what the other problems ask of a rule is asked in f64. */
const some = (list: readonly (Case | Wrapped)[]) => [
  ...new Map(list.map((c) => [c.name.replace(c.problem, ""), c])).values(),
];
/** From steps of 10⁻⁶ the way back to the start is lost in f32's rounding, in the package as well. */
const seen = (c: Case | Wrapped) => "wrapper" in c || c.optimizer !== "prodigy" || Number(c.settings.d0) >= 1e-3;

describe("golden trajectories of what is trained and what is evaluated", () => {
  async function compare(list: readonly (Case | Wrapped)[], dtype: Float, backend: BackendName, tolerance: number) {
    expect(list.length).toBeGreaterThan(1);
    const output = await walk(list, dtype, backend);
    list.forEach((c, k) => {
      expect(furthest(golden.steps, c.points, output[k]!.w), c.name).toBeLessThan(tolerance);
      expect(furthest(golden.steps, c.evaluated, output[k]!.evaluated), `${c.name}, evaluated`).toBeLessThan(tolerance);
    });
  }
  test.each(kinds)("%s, f64", (_, list) => compare(list, "f64", "js", 1e-9));
  test.runIf(hasNative).each(kinds)("%s, f32 in C", (name, list) => {
    return compare(some(list).filter(seen), "f32", "native", name === "prodigy" ? 1e-3 : 1e-4);
  });

  test("the packages' defaults", () => {
    for (const [dialect, table] of Object.entries(golden.defaults)) {
      for (const [optimizer, theirs] of Object.entries(table)) {
        const ours = rules[optimizer as keyof typeof rules].dialects as Readonly<Record<string, object>>;
        for (const [key, x] of Object.entries(ours[dialect]!)) {
          if (key in theirs) expect(x, `${dialect} ${optimizer} ${key}`).toBe(theirs[key] ?? 0); // null is off
        }
      }
    }
  });
});

// ---- what no library says ------------------------------------------------------------------------------------------------

const around: (readonly [string, (rule: Optimizer) => Optimizer])[] = Object.entries(wrappers)
  .filter(([, { make }]) => make(sgd()).evaluated)
  .map(([name, { make }]) => [name, make as (rule: Optimizer) => Optimizer]);
const averaging = [
  ...around.map(([name, make]) => [name, make(adam())] as const),
  ["scheduleFreeSgd", scheduleFreeSgd()] as const,
  ["scheduleFreeAdamW", scheduleFreeAdamW()] as const,
];

/** `steps` steps of ½ ‖a − 1‖² + ½ ‖b − 2‖² from a = 3, b = [0, 4]: after each a, b and what is evaluated. */
async function bowl(rule: Optimizer, steps: number, lr: (taken: number) => number = () => 0.1) {
  const w = values({ a: 3, b: [0, 4] }, "f64");
  const run = await Run.start({ w, opt: rule.init(w) }, { backend: "js" });
  const loop = run.loop<ReturnType<typeof feeds>, { w: Tensors; x: Tensors }>((s, { step, lr }) => {
    const loss = ({ a, b }: Tensors) => a!.sub(1).square().sum().add(b!.sub(2).square().sum()).mul(0.5);
    const [, g] = valueAndGrad(loss)(s.w);
    const [w, opt] = update(rule, g, s.opt, { params: s.w, step, lr });
    return { state: { w, opt }, output: { w, x: rule.evaluated?.(w, opt) ?? w } };
  });
  return (await loop.take(steps, feeds(steps, lr))).output;
}
const numbers = (v: Value) => [...v.data];

describe.each(["ema", "swa"] as const)("%s", (name) => {
  test("changes no bit of the training", async () => {
    const [with_, without] = [await bowl(wrappers[name].make(adam()), 20), await bowl(adam(), 20)];
    expect(with_.w).toEqual(without.w);
  });

  test("is the weights themselves before the first average, to the last bit", async () => {
    const options = name === "ema" ? { every: 4 } : { from: 4, every: 2 };
    const { w, x } = await bowl(wrappers[name].make(adam(), options), 6);
    expect(numbers(x.a!).slice(0, 4)).toEqual(numbers(w.a!).slice(0, 4));
    expect(x.a!.data[4]).toBe(w.a!.data[3]);
  });
});

test("an average of steps that do not move is no other point, and a first step of rate 0 has no weight", async () => {
  for (const [name, rule] of averaging) {
    const { w, x } = await bowl(rule, 3, () => 0);
    expect([name, ...numbers(w.a!), ...numbers(x.a!)]).toEqual([name, 3, 3, 3, 3, 3, 3]);
    const late = await bowl(rule, 4, (taken) => (taken < 2 ? 0 : 0.1));
    expect(late.x.a!.data[3], name).toBeLessThanOrEqual(3);
  }
});

test("schedule-free weighs each step by the highest rate so far: the mean of z, by hand", async () => {
  // b1 close to 0: y is z, so x is the weighted mean of descent's own points.
  const b1 = 1e-6;
  const rates = [0.1, 0.4, 0.2, 0.2];
  const { x } = await bowl(scheduleFreeSgd({ b1 }), 4, (taken) => rates[taken]!);
  let [z, sum, weights, highest] = [3, 0, 0, 0];
  for (const lr of rates) {
    z -= lr * (z - 1);
    highest = Math.max(highest, lr);
    sum += z * highest ** 2;
    weights += highest ** 2;
  }
  expect(x.a!.data[3]).toBeCloseTo(sum / weights, 5);
});

test("one d for all tensors: Prodigy on a tensor cut in two is Prodigy on the whole", async () => {
  const target = [1, -2, 3, 0.5];
  const walked = async (parts: readonly number[][]) => {
    const w = Object.fromEntries(
      parts.map((p, k) => [
        `p${k}`,
        value(
          [p.length],
          p.map(() => 0),
          "f64",
        ),
      ]),
    );
    const rule = prodigy({ d0: 1e-2 });
    const run = await Run.start({ w, opt: rule.init(w) }, { backend: "js" });
    const loop = run.loop<ReturnType<typeof feeds>, Tensor[]>((s, { step, lr }) => {
      const loss = (w: Tensors) =>
        parts
          .map((p, k) =>
            w[`p${k}`]!.sub(literal(value([p.length], p, "f64")))
              .square()
              .sum(),
          )
          .reduce((a, b) => a.add(b));
      const [, g] = valueAndGrad(loss)(s.w);
      const [next, opt] = update(rule, g, s.opt, { params: s.w, step, lr });
      return { state: { w: next, opt }, output: Object.values(next) };
    });
    await loop.take(
      30,
      feeds(30, () => 1),
    );
    return Object.values(run.state().w).flatMap(numbers);
  };
  const [whole, cut] = [await walked([target]), await walked([target.slice(0, 1), target.slice(1)])];
  expect(distance(cut, whole)).toBeLessThan(1e-12);
  expect(distance(whole, target)).toBeLessThan(0.2);
});

test("Prodigy decays only where it should", async () => {
  const { w } = await bowl(prodigy({ d0: 0.1, weightDecay: 10, decayOnly: named(/^a$/) }), 3);
  const free = await bowl(prodigy({ d0: 0.1 }), 1);
  expect(w.b!.data.slice(0, 2)).toEqual(free.w.b!.data.slice(0, 2));
  expect(w.a!.data[0]).toBeLessThan(free.w.a!.data[0]!);
});

describe.each(averaging)("%s within and around other rules", (name, rule) => {
  test("stands at the end of a chain, in a group and in what is frozen in part", async () => {
    for (const whole of [
      chain(clipGlobalNorm(1), rule),
      groups([named(/^b$/), rule], sgd()),
      freeze(named(/^a$/), rule),
    ]) {
      const { w, x } = await bowl(whole, 12);
      expect(numbers(x.b!), whole.describe).not.toEqual(numbers(w.b!));
      expect(x.b!.data.every(Number.isFinite)).toBe(true);
      if (whole.moves) expect(numbers(x.a!)).toEqual(numbers(x.a!).map(() => 3));
    }
  });

  test("comes last in a chain, and keeps its rate", () => {
    expect(() => chain(rule, decay(0.1))).toThrow(/must come last/);
    expect(() => scaleLr(named(/a/), 0.1, rule)).toThrow(/no multiple of the learning rate/);
  });

  test("is not averaged again", () => {
    for (const [outer, make] of around) {
      expect(() => make(rule), name).toThrow(new RegExp(`^${outer}: .* says already what is evaluated`));
      expect(() => make(freeze(named(/a/), sgd()))).toThrow(/around the whole rule/);
    }
  });
});

test("options out of their domain are told with it", () => {
  const wrong: [() => unknown, RegExp][] = [
    [() => ema(adam(), { decay: 1 }), /^ema: decay must be a number in \[0, 1\), got 1/],
    [() => ema(adam(), { every: 0 }), /^ema: every must be a whole number ≥ 1, got 0/],
    [() => ema(adam(), { debias: 1 as never }), /^ema: debias must be true or false/],
    [() => swa(adam(), { from: 0.5 }), /^swa: from must be a whole number/],
    [() => lookahead(adam(), { alpha: 0 }), /^lookahead: alpha must be a number in \(0, 1\], got 0/],
    [() => lookahead(adam(), { k: 5 } as never), /^lookahead: there is no option k.*it takes steps, alpha/s],
    [() => ema(adam as never), /^ema: adam makes a transform and is none/],
    [() => scheduleFreeSgd({ b1: 0 }), /^scheduleFreeSgd: b1 must be a number in \(0, 1\), got 0/],
  ];
  for (const [call, message] of wrong) expect(call).toThrow(message);
});
