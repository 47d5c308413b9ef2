/**
 * Every optimizer of the registry, and everything that goes around one, on functions whose minimum is known: it comes down,
 * it goes on from a saved state with the same bits, and it does so in f32 and with bf16 products too. A new row is found by
 * itself: rates are tried from its default on, since a default is meant for networks.
 */
import { describe, expect, test } from "vitest";
import { literal, type Tensor, type Value, value } from "../../src/ir/index.ts";
import {
  adam,
  type Common,
  type Optimizer,
  optimizers,
  type Row,
  type State,
  type TracedState,
  update,
  valueAndGradFor,
  type WrapperRow,
  wrappers,
} from "../../src/optim/index.ts";
import { type Problem, problems, quadratic } from "../../src/problems/index.ts";
import { key, normal } from "../../src/random.ts";
import type { LoopOptions, Values } from "../../src/run/loop.ts";
import { Run } from "../../src/run/run.ts";
import { leaves, map } from "../../src/tree.ts";
import { backends } from "../backends.ts";

// ---- what is minimised: functions of trees of parameters, 0 at the minimum -----------------------------------------------

type Float = "f32" | "f64";
type Params = Readonly<Record<string, Tensor>>;
type Case = {
  readonly start: Readonly<Record<string, Value<"f64">>>;
  readonly atStart: number;
  readonly loss: (p: Params) => Tensor;
};

const vector = ({ f, start, atStart, dimension }: Problem): Case => ({
  start: { x: value([dimension], start, "f64") },
  atStart,
  loss: ({ x }) => f(x!),
});

/** Mean squared error of x W + b, from zeros. With 24 examples bf16 rounds the product of its gradient. */
function regression(): Case {
  const drawn = (stream: number, n: number) => Array.from({ length: n }, (_, i) => normal(key(1), i, stream));
  const [x, weight, bias] = [drawn(0, 24 * 4), drawn(1, 4 * 3), drawn(2, 3)];
  const y = Array.from({ length: 24 * 3 }, (_, at) => {
    const [i, k] = [Math.floor(at / 3), at % 3];
    return [0, 1, 2, 3].reduce((sum, j) => sum + x[4 * i + j]! * weight[3 * j + k]!, bias[k]!);
  });
  return {
    start: { weight: value([4, 3], Array(12).fill(0), "f64"), bias: value([3], [0, 0, 0], "f64") },
    atStart: y.reduce((sum, t) => sum + t * t, 0) / y.length,
    loss({ weight, bias }) {
      const given = (shape: number[], data: number[]) => literal(value(shape, data, weight!.dtype));
      return given([24, 4], x)
        .matmul(weight!)
        .add(bias!)
        .sub(given([24, 3], y))
        .square()
        .mean();
    },
  };
}

const cases: Readonly<Record<string, Case>> = {
  quadratic: vector(quadratic({ condition: 10, dimension: 5 })),
  rosenbrock: vector(problems.rosenbrock),
  beale: vector(problems.beale),
  regression: regression(),
};
// ---- who minimises ---------------------------------------------------------------------------------------------------------

/** Averages over so long a past that a thousand steps are few for it. */
const settings: Readonly<Record<string, object>> = { ema: { decay: 0.98 }, swa: { from: 900 } };

type Contender = { readonly name: string; readonly rule: Optimizer; readonly lr: number };
const rows: Readonly<Record<string, Row<Common>>> = optimizers;
const around: Readonly<Record<string, WrapperRow>> = wrappers;
const contenders: Contender[] = [
  ...Object.entries(rows).map(([name, { make, defaults }]) => ({ name, rule: make(), lr: defaults.lr })),
  ...Object.entries(around).map(([name, { make }]) => ({ name, rule: make(adam(), settings[name]), lr: 1e-3 })),
];

/** What must be left of f after these steps, at the best rate of those tried. */
const steps = 1000;
const share = 0.01;
const multiples = [1, 3, 10, 30, 100, 300, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3];

/** Who cannot: `{ [rule]: { [case]: share } }`, each with the reason. */
const unable: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  // Its rate grows out of its own steps, slowly along a valley's floor.
  adadelta: { rosenbrock: 0.02 },
  // The first five steps are momentum at Adam's rate, a leap on Rosenbrock's slopes: what is small enough then is slow later.
  radam: { rosenbrock: 0.15 },
  // The mean of a row of a weight is what it never moves.
  centralize: { regression: 0.3 },
};

// ---- the race -----------------------------------------------------------------------------------------------------------------

/** A rule on a case. Many of them go side by side in one program, each with a state and a rate of its own. */
type Lane = { readonly id: string; readonly rule: Optimizer; readonly of: Case; readonly bound: number };
type Side<L, O> = { readonly params: Readonly<Record<string, L>>; readonly opt: O };
type Sides = Readonly<Record<string, Side<Value, State>>>;
type TracedSides = Readonly<Record<string, Side<Tensor, TracedState>>>;
type Feeds = { readonly step: Tensor; readonly lr: Readonly<Record<string, Tensor>> };

/** The lanes of an optimizer. */
const lanesOf = ({ name, rule }: Contender, on: readonly string[] = Object.keys(cases)): Lane[] =>
  on.map((problem) => {
    return { id: `${name} on ${problem}`, rule, of: cases[problem]!, bound: unable[name]?.[problem] ?? share };
  });
const each = <T>(lanes: readonly Lane[], make: (lane: Lane) => T): Record<string, T> =>
  Object.fromEntries(lanes.map((lane) => [lane.id, make(lane)]));

const startOf = (lanes: readonly Lane[], dtype: Float): Sides =>
  each(lanes, ({ rule, of }) => {
    const params = map((v: Value) => value(v.shape, v.data, dtype), of.start);
    return { params, opt: rule.init(params) };
  });

/** `take(n, rate, from)` gives what is left of f before each step, at what is to be evaluated. */
function racing(run: Run<Sides>, lanes: readonly Lane[], options: LoopOptions = {}) {
  const dtype = leaves<Value>(run.state())[0]!.dtype as Float;
  const loop = run.loop<Feeds, Record<string, Tensor>>((state, { step, lr }) => {
    const sides = state as TracedSides;
    const next = each(lanes, ({ id, rule, of }) => {
      const { params, opt } = sides[id]!;
      const [, g] = valueAndGradFor(rule, of.loss)(params);
      const [moved, memory] = update(rule, g, opt, { params, step, lr: lr[id]! });
      return { params: moved, opt: memory };
    });
    const left = each(lanes, ({ id, rule, of }) => {
      const { params, opt } = sides[id]!;
      return of.loss(rule.evaluated?.(params, opt) ?? params).mul(1 / of.atStart);
    });
    return { state: next as typeof state, output: left };
  }, options);
  return async (n: number, rate: (id: string) => number, from = 0): Promise<Record<string, number[]>> => {
    const step = Float64Array.from({ length: n }, (_, k) => from + k + 1);
    const lr = each(lanes, ({ id }) => value([n], new Float64Array(n).fill(rate(id)), dtype));
    const { output } = await loop.take(n, { step: value([n], step, dtype), lr } as Values<Feeds>);
    return each(lanes, ({ id }) => Array.from(output[id]!.data, Number));
  };
}

/** By lane, the best of the rates and what is left of f with it. Later rates are tried where earlier ones do not do. */
type Tuned = Readonly<Record<string, { readonly rate: number; readonly left: number }>>;

async function tune(contender: Contender): Promise<Tuned> {
  const lanes = lanesOf(contender);
  const start = startOf(lanes, "f64");
  const run = await Run.start(start, { backend: "js" });
  const take = racing(run, lanes);
  let best: Tuned = each(lanes, () => ({ rate: contender.lr, left: Number.POSITIVE_INFINITY }));
  for (const multiple of multiples) {
    if (lanes.every(({ id, bound }) => best[id]!.left < bound)) break;
    run.load(start);
    const rate = contender.lr * multiple;
    const left = await take(steps, () => rate);
    const last = (id: string) => left[id]!.at(-1)!;
    best = each(lanes, ({ id }) => (last(id) < best[id]!.left ? { rate, left: last(id) } : best[id]!));
  }
  return best;
}

const found = new Map<Contender, Promise<Tuned>>();
const tuned = (contender: Contender): Promise<Tuned> => {
  const known = found.get(contender) ?? tune(contender);
  found.set(contender, known);
  return known;
};

describe.each(contenders)("$name", (contender) => {
  test("comes down", async () => {
    const best = await tuned(contender);
    for (const { id, bound } of lanesOf(contender))
      expect(best[id]!.left, `of f(start), ${id}, lr ${best[id]!.rate}`).toBeLessThan(bound);
  });

  test("goes on from a saved state with the same bits", async () => {
    const best = await tuned(contender);
    const rate = (id: string) => best[id]!.rate;
    const lanes = lanesOf(contender, ["quadratic", "regression"]);
    const run = await Run.start(startOf(lanes, "f64"), { backend: "js" });
    const take = racing(run, lanes);
    await take(13, rate);
    const other = await Run.start(run.state(), { backend: "js" });
    const [straight, resumed] = [await take(13, rate, 13), await racing(other, lanes)(13, rate, 13)];
    expect(Object.values(straight).flat().every(Number.isFinite)).toBe(true);
    expect(resumed).toEqual(straight);
    expect(other.state()).toEqual(run.state());
  });
});

/** All of them in one program, since a compilation in C takes a second. */
test.each([
  ["f32", backends.at(-1)!, ["rosenbrock", "regression"]],
  ["bf16", "js", ["regression"]],
] as const)(
  "in f32, with products in %s on %s, all come down",
  async (precision, backend, on) => {
    const best: Tuned = Object.assign({}, ...(await Promise.all(contenders.map(tuned))));
    const lanes = contenders.flatMap((contender) => lanesOf(contender, on));
    const run = await Run.start(startOf(lanes, "f32"), { backend });
    const left = await racing(run, lanes, { precision })(steps, (id) => best[id]!.rate);
    for (const { id, bound } of lanes) {
      expect(left[id]!.every(Number.isFinite), `${id}: finite`).toBe(true);
      // Rounding makes another path of one that swings along a valley: it may be elsewhere in its swing at the end.
      expect(Math.min(...left[id]!.slice(-100)), id).toBeLessThan(2 * bound);
    }
  },
  60_000,
);
