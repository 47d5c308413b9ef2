/** What `fit` compiles: one step of training, the two halves of an accumulated one, and one batch of evaluation. */
import { fail, shown } from "../ir/fail.ts";
import { scalar, Tensor, zerosLike } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { apply, type Module, type Parts } from "../nn/index.ts";
import { accumulator, globalNorm, type Optimizer, trainable, update, valueAndGradFor } from "../optim/index.ts";
import type * as tree from "../tree.ts";
import type { Examples, Resident } from "./examples.ts";

/**
 * A loss as those of `downhill/nn`, or a function of prediction and target that gives the mean over a batch, or the
 * total and the weight that a mean divides by. Only with total and weight do batches of different size, or of
 * different class weights, add up to exactly the big batch; a mean alone is taken to weigh as many rows as it saw.
 */
export type FitLoss = ((prediction: Tensor, target: Tensor) => Tensor | Parts) & {
  readonly parts?: (prediction: Tensor, target: Tensor) => Parts;
};

// any: these trees are as the net and the rule made them; here they only pass through
type Tree = any;

/** Params, running statistics and optimizer state; where batches are accumulated, also what they have given so far. */
export type Trained = { readonly params: Tree; readonly state: Tree; readonly opt: Tree };
export type Accumulating = Trained & { readonly gradients: Tree; readonly total: Tree };

export type Rows = { readonly rows?: Value; readonly key?: Value };
export type Rates = { readonly step: Value; readonly lr: Value };
type Traced<T> = tree.Mapped<T, Value, Tensor>;

/** Throws where the loss gives neither one number nor the two parts of it. */
export function partsOf(loss: FitLoss, prediction: Tensor, target: Tensor): Parts {
  const given: unknown = loss.parts ? loss.parts(prediction, target) : loss(prediction, target);
  if (!(given instanceof Tensor)) {
    const { total, weight } = (given ?? {}) as Partial<Parts>;
    if (isNumber(total) && isNumber(weight)) return { total, weight };
    const hint = "(prediction, target) => prediction.sub(target).square().mean()";
    return fail(`loss: expected one number as a Tensor, or { total, weight } of it, got ${shown(given)}`, hint);
  }
  if (!isNumber(given)) fail(`loss: expected one float, got ${given}`, "take the mean of what it gives: .mean()");
  const weight = scalar(target.shape[0] ?? 1, given.dtype);
  return { total: given.mul(weight), weight };
}

const isNumber = (t: unknown): t is Tensor => t instanceof Tensor && t.rank === 0 && t.isFloat;

/** 0, or NaN where any of them is not finite: the one number that a loop of steps watches. */
const soundness = (...all: Tensor[]): Tensor => all.map((t) => t.mul(0)).reduce((a, b) => a.add(b));

/** One update from one batch. */
export const trainStep =
  (net: Module, loss: FitLoss, rule: Optimizer, { batch }: Examples) =>
  (s: Traced<Trained>, feed: Traced<Rows & Rates>, data: Traced<Resident>) => {
    const { x, y } = batch(data, feed.rows);
    const [[mean, { weight, next }], gradients] = valueAndGradFor(rule, (params: Tree) => {
      const [prediction, next] = apply(net, { params, state: s.state }, x, { training: true, key: feed.key });
      const { total, weight } = partsOf(loss, prediction, y);
      return [total.div(weight), { weight, next }] as const;
    })(s.params);
    const [params, opt] = update(rule, gradients, s.opt, { params: s.params, step: feed.step, lr: feed.lr });
    const norm = globalNorm(trainable(rule, s.params, gradients));
    const sound = soundness(mean, norm);
    return { state: { params, state: next, opt }, output: { loss: mean, weight, norm, sound }, watch: sound };
  };

/** One batch of an accumulated update: its total, and the gradients of that, added up. */
export const addStep =
  (net: Module, loss: FitLoss, rule: Optimizer, { batch }: Examples) =>
  (s: Traced<Accumulating>, feed: Traced<Rows>, data: Traced<Resident>) => {
    const { x, y } = batch(data, feed.rows);
    const [[total, { weight, next }], all] = valueAndGradFor(rule, (params: Tree) => {
      const [prediction, next] = apply(net, { params, state: s.state }, x, { training: true, key: feed.key });
      const { total, weight } = partsOf(loss, prediction, y);
      return [total, { weight, next }] as const;
    })(s.params);
    const gradients = trainable(rule, s.params, all);
    const sum = accumulator.add(s.gradients, gradients, weight);
    const sound = soundness(total, globalNorm(gradients));
    const state = { ...s, state: next, gradients: sum, total: s.total.add(total) };
    return { state, output: { sound }, watch: sound };
  };

/** The update from what was added up, which starts again at 0. */
export const applyStep = (rule: Optimizer) => (s: Traced<Accumulating>, feed: Traced<Rates>) => {
  const { weight } = s.gradients;
  const gradients = accumulator.mean<Tree>(s.gradients);
  const [params, opt] = update(rule, gradients, s.opt, { params: s.params, step: feed.step, lr: feed.lr });
  const loss = s.total.div(weight);
  const norm = globalNorm(gradients);
  const sound = soundness(loss, norm);
  const state = { params, state: s.state, opt, gradients: accumulator.clear(s.gradients), total: zerosLike(s.total) };
  return { state, output: { loss, weight, norm, sound }, watch: sound };
};

/** What the net gives for a batch, without training; the state stays as it is. */
export const predictStep =
  (net: Module) =>
  (s: Traced<Pick<Trained, "params" | "state">>, { x }: Traced<{ x: Value }>) => ({
    output: { prediction: apply(net, { params: s.params, state: s.state }, x)[0] as Tensor },
  });

/** The parts of the loss of some examples and, where metrics want it, what the net gives for them. */
export const evaluateStep =
  (net: Module, loss: FitLoss, { batch }: Examples, wanted: boolean, show = ({ params }: { params: Tree }) => params) =>
  (s: Traced<Pick<Trained, "params" | "state">>, feed: Traced<Rows>, data: Traced<Resident>) => {
    const { x, y } = batch(data, feed.rows);
    const prediction: Tensor = apply(net, { params: show(s), state: s.state }, x)[0];
    return { output: { ...partsOf(loss, prediction, y), ...(wanted && { prediction }) } };
  };
