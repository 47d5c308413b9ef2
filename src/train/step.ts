/** What `fit` compiles: one step of training, the two halves of an accumulated one, and one batch of evaluation. */
import { fail, shown } from "../ir/fail.ts";
import { scalar, Tensor, zerosLike } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { apply, type Module, type Parts } from "../nn/index.ts";
import { accumulator, globalNorm, type Optimizer, trainable, update, valueAndGradFor } from "../optim/index.ts";
import type * as tree from "../tree.ts";
import type { Examples, Resident } from "./examples.ts";
import { scaled, unless, unscaled } from "./scaling.ts";

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

/**
 * Params, running statistics and optimizer state; where batches are accumulated, also what they have given so far; and in
 * f16 the scale of the loss, with the statistics from before the accumulated batches.
 */
export type Trained = { readonly params: Tree; readonly state: Tree; readonly opt: Tree };
export type Accumulating = Trained & { readonly gradients: Tree; readonly total: Tree; readonly scaler: Tree };

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

/**
 * The end of an update: where the loss is scaled, all of `next` as it was in `now` if the update is not sound, and the
 * scale of the one to come.
 */
function ended(scaler: Tree, next: Tree, now: Tree, sound: Tensor) {
  const { scale, good } = scaler;
  if (!scale) return { state: { ...next, scaler }, scales: {} };
  const ok = sound.eq(0);
  const after = scaled({ scale, good }, ok);
  return { state: { ...unless(ok, next, now), scaler: after }, scales: { scale: after.scale } };
}

/** Gradients of a loss, which `f` gives first: as they are, or where it is scaled of so many times of it. */
function scaledGradients<Aux>(rule: Optimizer, { scale }: Tree, params: Tree, f: (p: Tree) => readonly [Tensor, Aux]) {
  const [[, result], gradients] = valueAndGradFor(
    rule,
    (p: Tree) => {
      const both = f(p);
      return [scale ? both[0].mul(scale.cast(both[0].dtype)) : both[0], both] as const;
    },
    (g) => unscaled(g, scale),
  )(params);
  return [result, gradients] as const;
}

/** One update from one batch. */
export const trainStep =
  (net: Module, loss: FitLoss, rule: Optimizer, { batch }: Examples) =>
  (s: Traced<Omit<Accumulating, "gradients" | "total">>, feed: Traced<Rows & Rates>, data: Traced<Resident>) => {
    const { x, y } = batch(data, feed.rows);
    const [[mean, { weight, next }], given] = scaledGradients(rule, s.scaler, s.params, (params: Tree) => {
      const [prediction, next] = apply(net, { params, state: s.state }, x, { training: true, key: feed.key });
      const { total, weight } = partsOf(loss, prediction, y);
      return [total.div(weight), { weight, next }] as const;
    });
    const gradients = unscaled(given, s.scaler.scale);
    const [params, opt] = update(rule, gradients, s.opt, { params: s.params, step: feed.step, lr: feed.lr });
    const norm = globalNorm(trainable(rule, s.params, gradients));
    const sound = soundness(mean, norm);
    const now = { params: s.params, state: s.state, opt: s.opt };
    const { state, scales } = ended(s.scaler, { params, state: next, opt }, now, sound);
    return { state, output: { loss: mean, weight, norm, sound, ...scales }, watch: sound };
  };

/**
 * One batch of an accumulated update: its total, and the gradients of that, added up. Where the loss is scaled it is the
 * update that is sound or not.
 */
export const addStep =
  (net: Module, loss: FitLoss, rule: Optimizer, { batch }: Examples) =>
  (s: Traced<Accumulating>, feed: Traced<Rows>, data: Traced<Resident>) => {
    const { x, y } = batch(data, feed.rows);
    const [[total, { weight, next }], all] = scaledGradients(rule, s.scaler, s.params, (params: Tree) => {
      const [prediction, next] = apply(net, { params, state: s.state }, x, { training: true, key: feed.key });
      const { total, weight } = partsOf(loss, prediction, y);
      return [total, { weight, next }] as const;
    });
    const gradients = trainable(rule, s.params, all);
    const sum = accumulator.add(s.gradients, gradients, weight);
    const sound = s.scaler.scale ? scalar(0, total.dtype) : soundness(total, globalNorm(gradients));
    const state = { ...s, state: next, gradients: sum, total: s.total.add(total) };
    return { state, output: { sound }, watch: sound };
  };

/** The update from what was added up, which starts again at 0. */
export const applyStep = (rule: Optimizer) => (s: Traced<Accumulating>, feed: Traced<Rates>) => {
  const { weight } = s.gradients;
  const gradients = unscaled(accumulator.mean<Tree>(s.gradients), s.scaler.scale);
  const [params, opt] = update(rule, gradients, s.opt, { params: s.params, step: feed.step, lr: feed.lr });
  const loss = s.total.div(weight);
  const norm = globalNorm(gradients);
  const sound = soundness(loss, norm);
  const { statistics = s.state, ...scaler } = s.scaler;
  const now = { params: s.params, state: statistics, opt: s.opt };
  const { state, scales } = ended(scaler, { params, state: s.state, opt }, now, sound);
  const again = { gradients: accumulator.clear(s.gradients), total: zerosLike(s.total) };
  const kept = s.scaler.statistics && { scaler: { ...state.scaler, statistics: state.state } };
  return { state: { ...state, ...again, ...kept }, output: { loss, weight, norm, sound, ...scales }, watch: sound };
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
