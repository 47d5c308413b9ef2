/** What the tests of src/optim share: host values from nested lists, feeds of lr and step, a run of an optimizer. */
import type { Float } from "../../src/ir/dtype.ts";
import { type Tensor, type Value, value, valueAndGrad } from "../../src/ir/index.ts";
import { type Transform, update } from "../../src/optim/index.ts";
import type { BackendName } from "../../src/run/backend.ts";
import { Run } from "../../src/run/run.ts";

export type Nested = number | readonly Nested[];
export type Tensors = Readonly<Record<string, Tensor>>;
export type Values = Readonly<Record<string, Value>>;

const shapeOf = (x: Nested): number[] => (typeof x === "number" ? [] : [x.length, ...shapeOf(x[0]!)]);
export const flat = (x: Nested): number[] => (typeof x === "number" ? [x] : x.flatMap(flat));

export const values = (t: Readonly<Record<string, Nested>>, dtype: Float): Values =>
  Object.fromEntries(Object.entries(t).map(([k, x]) => [k, value(shapeOf(x), flat(x), dtype)]));

/** Numbers and rates of the steps from `from` on; `lr` is asked with the number of steps taken before. */
export function feeds(n: number, lr: (taken: number) => number, dtype: Float = "f64", from = 1) {
  const steps = Array.from({ length: n }, (_, k) => from + k);
  return {
    step: value([n], steps, dtype),
    lr: value(
      [n],
      steps.map((t) => lr(t - 1)),
      dtype,
    ),
  };
}

export type Feeds = ReturnType<typeof feeds>;

/**
 * A run of an optimizer from `start`. The loss is made of the resident data; each step reports the loss before it and
 * the weights after it.
 */
export async function descent(
  rule: Transform,
  loss: (data: Tensors) => (p: Tensors) => Tensor,
  start: Values,
  { backend = "js", data = {} }: { backend?: BackendName; data?: Values } = {},
) {
  const run = await Run.start({ w: start, opt: rule.init(start) }, { backend });
  const loop = run.loop<Feeds, { loss: Tensor; w: Tensors }, Values>(
    (s, { step, lr }, data) => {
      const [value, g] = valueAndGrad(loss(data))(s.w);
      const [w, opt] = update(rule, g, s.opt, { params: s.w, step, lr });
      return { state: { w, opt }, output: { loss: value, w } };
    },
    { data },
  );
  return { run, loop };
}

/** max |a − b| / max |b|. */
export function distance(a: ArrayLike<number>, b: readonly number[]): number {
  const scale = Math.max(...b.map(Math.abs), Number.MIN_VALUE);
  return Math.max(
    ...b.map((x, k) => (Number.isFinite(a[k]!) ? Math.abs(a[k]! - x) / scale : Number.POSITIVE_INFINITY)),
  );
}
