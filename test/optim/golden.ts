/**
 * Golden trajectories: the cases of a file walked side by side in one program, each with a rule and on a problem of its own,
 * and how far that is from the points of the file.
 */
import type { Float } from "../../src/ir/dtype.ts";
import { type Tensor, type Value, valueAndGrad } from "../../src/ir/index.ts";
import { type Optimizer, update } from "../../src/optim/index.ts";
import type { BackendName } from "../../src/run/backend.ts";
import { Run } from "../../src/run/run.ts";
import { distance, feeds, flat, type Nested, type Tensors, type Values, values } from "./descent.ts";

/** What all files say of a case. */
export type Walked<P> = {
  readonly name: string;
  readonly settings: { readonly lr: number };
  readonly problem: P;
  /** points[tensor][i]: after steps[i] steps. */
  readonly points: Points;
  /** [first step, lr], steps counted from 1. */
  readonly lrFromStep?: readonly (readonly [number, number])[];
};
export type Points = Readonly<Record<string, readonly Nested[]>>;
export type Problems<P extends string> = Readonly<
  Record<P, { readonly constants?: Record<string, Nested>; readonly start: Record<string, Nested> }>
>;
type Losses<P extends string> = Readonly<Record<P, (constants: Tensors) => (p: Tensors) => Tensor>>;

export const rosenbrock = ({ w }: Tensors): Tensor => {
  const [x, y] = [w!.slice(0, 0, 1), w!.slice(0, 1, 2)];
  return x.neg().add(1).square().add(y.sub(x.square()).square().mul(100)).sum();
};
/** Of optimizers.json and averaging-optimizers.json. */
export const losses = {
  rosenbrock: () => rosenbrock,
  bowl5:
    ({ d, c }: Tensors) =>
    ({ w }: Tensors) => {
      const squares = w!.sub(c!).square();
      return d!.mul(squares).sum().mul(0.5).add(squares.square().sum().mul(0.025));
    },
  twoTensors:
    ({ X, T }: Tensors) =>
    ({ A, b }: Tensors) =>
      X!.matmul(A!).add(b!).tanh().sub(T!).square().sum(),
};

/** Of each step of a case: the loss before it, and after it the weights and what is evaluated in their place. */
type Step = { readonly loss: Tensor; readonly w: Tensors; readonly evaluated: Tensors };

/** A hundred steps of each case by its rule. */
export async function sideBySide<P extends string>(
  list: readonly Walked<P>[],
  rules: readonly Optimizer[],
  of: { readonly problems: Problems<P>; readonly losses: Losses<P> },
  dtype: Float,
  backend: BackendName,
) {
  const starts = list.map((c) => values(of.problems[c.problem].start, dtype));
  const data = list.map((c) => values(of.problems[c.problem].constants ?? {}, dtype));
  const state = starts.map((w, k) => ({ w, opt: rules[k]!.init(w) }));
  const rates = list.map((c) => feeds(100, rateOf(c), dtype).lr);
  const { step } = feeds(100, () => 1, dtype);
  const run = await Run.start(state, { backend });
  const loop = run.loop<{ step: Value; rates: Value[] }, Step[], Values[]>(
    (s, f, data) => {
      const next = s.map(({ w: params, opt }, k) => {
        const rule = rules[k]!;
        const [loss, g] = valueAndGrad(of.losses[list[k]!.problem](data[k]!))(params);
        const [w, after] = update(rule, g, opt, { params, step: f.step, lr: f.rates[k]! });
        return { state: { w, opt: after }, output: { loss, w, evaluated: rule.evaluated?.(w, after) ?? w } };
      });
      return { state: next.map((x) => x.state), output: next.map((x) => x.output) };
    },
    { data },
  );
  return (await loop.take(100, { step, rates })).output;
}

const rateOf =
  ({ settings, lrFromStep = [] }: Walked<string>) =>
  (taken: number) =>
    lrFromStep.findLast(([from]) => from <= taken + 1)?.[1] ?? settings.lr;

/** The largest distance over all golden points, which are those after `steps`; weights[tensor] has one row per step. */
export function furthest(steps: readonly number[], points: Points, weights: Values): number {
  const gaps = Object.entries(points).flatMap(([key, list]) =>
    list.map((point, k) => {
      const wanted = flat(point);
      const from = (steps[k]! - 1) * wanted.length;
      return distance(weights[key]!.data.subarray(from, from + wanted.length), wanted);
    }),
  );
  return Math.max(...gaps);
}
