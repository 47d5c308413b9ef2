/** DeepOBS' quadratic_deep and NumPy's generator below it: against NumPy, and against the published ten-seed results. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { grad, jit, Run, type Tensor, type Value, value } from "../../src/index.ts";
import { adam, momentum, type Optimizer, sgd, update } from "../../src/optim/index.ts";
import { quadraticDeep, RandomState } from "../../src/problems/index.ts";
import { hasNative } from "../backends.ts";

type Name = "sgd" | "momentum" | "adam";
type Draws = {
  readonly seed: number;
  readonly bits: number[];
  readonly uniform: number[];
  readonly normal: number[];
  readonly between: number[];
  readonly kept: number;
  readonly permutation: number[];
};
const golden = JSON.parse(readFileSync(new URL("../golden/quadratic-deep.json", import.meta.url), "utf8")) as {
  readonly trace: number;
  readonly firstRow: number[];
  readonly lastRow: number[];
  readonly squares: number;
  readonly train: number[][];
  readonly test: number[][];
  readonly initial: number;
  readonly testFloor: number;
  readonly trainFloor: number;
  readonly finals: Readonly<Record<Name, number[]>>;
  readonly draws: Draws[];
};

const times = <T>(n: number, draw: () => T): T[] => Array.from({ length: n }, draw);
const within = (got: number, wanted: number, tolerance: number, what = "") =>
  expect(Math.abs(got - wanted) / Math.abs(wanted), what).toBeLessThan(tolerance);

describe("RandomState", () => {
  test.each(golden.draws)("of seed $seed draws as NumPy's", (wanted) => {
    const draw = new RandomState(wanted.seed);
    expect(times(3, () => draw.bits())).toEqual(wanted.bits);
    const uniform = times(700, () => draw.uniform());
    expect([0, 1, 311, 312, 699].map((k) => uniform[k])).toEqual(wanted.uniform);
    times(5, () => draw.normal(1, 2)).forEach((x, k) => within(x, wanted.normal[k]!, 1e-14));
    expect(times(2, () => draw.uniform(30, 60))).toEqual(wanted.between);
    within(draw.normal(), wanted.kept, 1e-14);
    expect([...draw.permutation(20)]).toEqual(wanted.permutation);
  });

  test.each([-1, 0.5, 2 ** 32, Number.NaN])("refuses the seed %s", (seed) => {
    expect(() => new RandomState(seed)).toThrow(
      `RandomState: the seed must be an integer from 0 to 2³² − 1, got ${seed}`,
    );
  });
});

const problem = quadraticDeep();

test("Q and the samples are NumPy's", () => {
  const q = problem.hessian.data;
  within(
    times(100, () => 0).reduce((sum, _, k) => sum + q[k * 101]!, 0),
    golden.trace,
    1e-9,
  );
  within(
    q.reduce((sum, x) => sum + x * x, 0),
    golden.squares,
    1e-9,
  );
  // Rounded to f32, entries differ by one unit in the last place where a sum fell on the other side.
  golden.firstRow.forEach((x, k) => expect(Math.abs(q[k]! - x)).toBeLessThan(1e-6));
  golden.lastRow.forEach((x, k) => expect(Math.abs(q[9900 + k]! - x)).toBeLessThan(1e-6));
  const head = ({ data }: Value<"f32">, row: number) => [...data.subarray(row * 100, row * 100 + 5)];
  expect([head(problem.train, 0), head(problem.train, 999)]).toEqual(golden.train);
  expect([head(problem.test, 0), head(problem.test, 895)]).toEqual(golden.test);
  expect(problem.test.shape).toEqual([896, 100]);
});

const lossOf = jit(problem.loss, { backend: "js" });

test("the loss at the start is the published one, and that at the mean its floor", async () => {
  const wide = (v: Value<"f32">) => value(v.shape, v.data, "f64");
  const at = async (theta: Value, x: Value<"f32">) => {
    return Number((await lossOf(wide(problem.hessian), theta, wide(x))).data[0]);
  };
  const initial = await at(wide(problem.start), problem.test);
  within(initial, 353.446764, 1e-5, "published");
  within(initial, golden.initial, 1e-7);
  const means = ({ data, shape: [n] }: Value<"f32">) =>
    value(
      [100],
      times(100, () => 0).map((_, j) => data.reduce((sum, x, k) => (k % 100 === j ? sum + x / n! : sum), 0)),
      "f64",
    );
  within(await at(means(problem.test), problem.test), golden.testFloor, 1e-7);
  within(await at(means(problem.train), problem.train), golden.trainFloor, 1e-7);
  const narrow = await lossOf(problem.hessian, problem.start, problem.test);
  within(Number(narrow.data[0]), 353.446764, 1e-5, "in f32");
});

/** Final test losses of the ten seeds: one program, 700 steps a call. */
async function finals(rule: Optimizer, lr: number): Promise<number[]> {
  const { start, hessian, train, epochs, batches } = problem;
  const begin = { theta: start, opt: rule.init(start), step: value([], [1]) };
  const run = await Run.start(begin, { backend: hasNative ? "native" : "js" });
  type Data = { q: Tensor; train: Tensor };
  const loop = run.loop<{ rows: Tensor }, Record<string, never>, { q: Value; train: Value }>(
    ({ theta, opt, step }, { rows }, data: Data) => {
      const slope = grad((at: Tensor) => problem.loss(data.q, at, data.train.gather(rows)))(theta);
      const rate = step.mul(0).add(lr);
      const [next, memory] = update(rule, slope, opt, { params: theta, step, lr: rate });
      return { state: { theta: next, opt: memory, step: step.add(1) }, output: {} };
    },
    { data: { q: hessian, train } },
  );
  const losses: number[] = [];
  for (const seed of problem.seeds) {
    run.load(begin);
    const epoch = problem.order(seed);
    const rows = new Int32Array(epochs * epoch.data.length);
    for (let k = 0; k < epochs; k++) rows.set(epoch.data, k * epoch.data.length);
    await loop.take(epochs * batches, { rows: value([epochs * batches, problem.batchSize], rows, "i32") });
    losses.push(Number((await lossOf(hessian, run.state().theta, problem.test)).data[0]));
  }
  return losses;
}

const mean = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0) / xs.length;
const deviation = (xs: readonly number[]) =>
  Math.sqrt(mean(xs.map((x) => (x - mean(xs)) ** 2)) * (xs.length / (xs.length - 1)));

const rules: Readonly<Record<Name, Optimizer>> = { sgd: sgd(), momentum: momentum({ momentum: 0.99 }), adam: adam() };

test.each(Object.keys(rules) as Name[])("%s, ten seeds of 100 epochs", async (name) => {
  const published = problem.published[name];
  const losses = await finals(rules[name], published.lr);
  losses.forEach((loss, k) => within(loss, golden.finals[name][k]!, 1e-6, `seed ${problem.seeds[k]} in NumPy`));
  // Of two means of ten: their errors add as squares.
  const error = Math.hypot(deviation(losses), published.sd) / Math.sqrt(losses.length);
  expect(Math.abs(mean(losses) - published.mean)).toBeLessThan(3 * error);
});
