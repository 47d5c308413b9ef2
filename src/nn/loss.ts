/**
 * Losses: functions of a prediction and a target that give one number. Each is built on its two parts, the sum of the
 * losses and the weight that a mean divides by, because parts add up where means do not: over micro-batches of
 * different size, or over machines, the mean of everything is Σ total / Σ weight.
 *
 *   crossEntropy(logits, labels)                        total / weight
 *   crossEntropy(logits, labels, { reduction: "sum" })  total
 *   crossEntropy.parts(logits, labels)                  { total, weight }
 *
 * Prediction and target never broadcast against each other: [n, 1] against [n] would compare every prediction with
 * every target. Definitions, and what a mean divides by, are PyTorch's.
 */
import { fail, shown } from "../ir/fail.ts";
import { logSoftmax, logSumExp, pick, power, relu, softplus } from "../ir/math.ts";
import { sameShape, size } from "../ir/shape.ts";
import { asOne, literal, scalar, Tensor } from "../ir/tensor.ts";
import { value } from "../ir/value.ts";

/** Two scalars: the sum of the losses, and what it is divided by to get their mean. */
export type Parts = { readonly total: Tensor; readonly weight: Tensor };
export type Reduction = "mean" | "sum";

export type Loss<O> = {
  (prediction: Tensor, target: Tensor, options?: O & { readonly reduction?: Reduction }): Tensor;
  /** For a mean over several batches: add up both parts, then divide. */
  parts(prediction: Tensor, target: Tensor, options?: O): Parts;
};

function loss<O extends object = Record<never, never>>(
  definition: (prediction: Tensor, target: Tensor, options: Partial<O>) => Parts,
): Loss<O> {
  const parts: typeof definition = (prediction, target, options) => {
    requireTensor("prediction", prediction);
    requireTensor("target", target);
    return asOne(() => definition(prediction, target, options));
  };
  const reduced = (
    prediction: Tensor,
    target: Tensor,
    options: { readonly reduction?: Reduction } & Partial<O> = {},
  ) => {
    const { reduction = "mean" } = options;
    if (reduction !== "mean" && reduction !== "sum") fail(`loss: unknown reduction "${reduction}"`, '"mean" or "sum"');
    const { total, weight } = parts(prediction, target, options);
    return reduction === "sum" ? total : total.div(weight);
  };
  return Object.assign(reduced, { parts: (p: Tensor, t: Tensor, options: Partial<O> = {}) => parts(p, t, options) });
}

function requireTensor(name: string, t: unknown): void {
  if (t instanceof Tensor) return;
  fail(
    `loss: expected the ${name} as a Tensor, got ${shown(t)}`,
    "a loss works inside of a step, and on Values through jit: await jit(mse)(prediction, target)",
  );
}

/** The sum of losses of one weight each. */
const perEntry = (each: Tensor): Parts => ({ total: each.sum(), weight: scalar(size(each.shape), each.dtype) });

/** The target in the prediction's dtype. Throws unless the shapes are equal. */
function paired(name: string, prediction: Tensor, target: Tensor): Tensor {
  if (!prediction.isFloat) fail(`${name}: the prediction ${prediction} is not a float`);
  if (!sameShape(prediction.shape, target.shape)) {
    const lengths = (t: Tensor) => `${t.shape.filter((n) => n !== 1)}`;
    const same = lengths(prediction) === lengths(target);
    const remedy =
      same && prediction.rank === target.rank + 1
        ? `target.unsqueeze(${prediction.shape.at(-1) === 1 ? -1 : 0})`
        : same && target.rank === prediction.rank + 1
          ? `prediction.unsqueeze(${target.shape.at(-1) === 1 ? -1 : 0})`
          : undefined;
    fail(
      `${name}: prediction ${prediction} and target ${target} must have one shape; they are never broadcast`,
      remedy && `they hold the same number of entries: give one the other's shape with ${remedy}`,
    );
  }
  if (target.isFloat && target.dtype !== prediction.dtype) {
    fail(
      `${name}: dtypes differ in prediction ${prediction} and target ${target}`,
      `target.cast("${prediction.dtype}")`,
    );
  }
  return target.cast(prediction.dtype);
}

/** (x − t)², over all entries. */
export const mse = loss((x, t) => perEntry(x.sub(paired("mse", x, t)).square()));

/** |x − t|, over all entries. Slope 0 where they are equal. */
export const mae = loss((x, t) => perEntry(x.sub(paired("mae", x, t)).abs()));

/** ½ d² where |d| ≤ δ, δ (|d| − ½ δ) beyond, d = x − t. Huber 1964. */
export const huber = loss<{ readonly delta?: number }>((x, t, { delta = 1 }) => {
  if (!(delta > 0)) fail(`huber: delta must be positive, got ${delta}`);
  const d = x.sub(paired("huber", x, t));
  const a = d.abs();
  return perEntry(a.le(delta).where(d.square().mul(0.5), a.sub(delta / 2).mul(delta)));
});

/** One number for all, or one for each place of the last axis. */
export type Weights = number | readonly number[] | Tensor;

/** Weights as something to multiply `x` with. A list or tensor has one entry per place of the last axis of x. */
function weightsOf(name: string, w: Weights, x: Tensor): Tensor {
  const lifted =
    typeof w === "number" ? scalar(w, x.dtype) : w instanceof Tensor ? w : literal(value([w.length], w, x.dtype));
  if (lifted.rank !== 0 && !sameShape(lifted.shape, [x.shape.at(-1) ?? 1])) {
    fail(`${name}: ${lifted} must have one entry for each of the ${x.shape.at(-1)} on the last axis of ${x}`);
  }
  return lifted;
}

/**
 * Binary cross-entropy of logits:  −t · p · log σ(x) − (1 − t) · log(1 − σ(x)),  t in [0, 1], p = posWeight.
 *
 * posWeight  weight of the positive class: one number, or one per column; negatives / positives balances a column
 * weights    a factor for each entry, in the shape of x; the mean still divides by the number of entries, as PyTorch's
 */
export const binaryCrossEntropy = loss<{ readonly posWeight?: Weights; readonly weights?: Tensor }>(
  (x, target, { posWeight, weights }) => {
    const t = paired("binaryCrossEntropy", x, target);
    const positive = posWeight === undefined ? undefined : weightsOf("binaryCrossEntropy: posWeight", posWeight, x);
    // softplus(−x) is −log σ(x), accurate at both ends; −log(1 − σ(x)) is x more
    const minusLog = softplus(x.neg());
    const each = t
      .neg()
      .add(1)
      .mul(x)
      .add(positive ? positive.sub(1).mul(t).add(1).mul(minusLog) : minusLog);
    return perEntry(weights ? each.mul(paired("binaryCrossEntropy: weights", x, weights)) : each);
  },
);

type CrossEntropy = {
  /** ε: the target becomes (1 − ε) · target + ε / classes. Szegedy et al. 2016. */
  readonly labelSmoothing?: number;
  /** A factor for each class. Of integer targets, the mean then divides by the sum of the targets' weights. */
  readonly classWeights?: readonly number[] | Tensor;
  /** Integer targets with this value count for nothing. */
  readonly ignoreIndex?: number;
};

/**
 * Softmax cross-entropy of logits:  −Σ_k t_k · w_k · log softmax(x)_k  over the last axis.
 *
 * x       f32[.., classes]
 * target  classes as integers, int[..], or their probabilities, f32[.., classes]
 *
 * The mean divides by the number of examples, or for integer targets by the weights of those that are not ignored; where
 * all are ignored it is 0 / 0, NaN, as PyTorch's. Labels out of range are refused where they come in as data.
 */
export const crossEntropy = loss<CrossEntropy>((x, target, options) => {
  const { labelSmoothing = 0, classWeights, ignoreIndex } = options;
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    fail(`crossEntropy: labelSmoothing must lie in 0 … 1, got ${labelSmoothing}`);
  }
  const classes = classesOf("crossEntropy", x);
  const w = classWeights === undefined ? undefined : weightsOf("crossEntropy: classWeights", classWeights, x);

  if (target.isFloat) {
    requireProbabilities(x, target);
    if (ignoreIndex !== undefined) fail("crossEntropy: ignoreIndex needs integer targets, these are probabilities");
    const t = paired("crossEntropy", x, target)
      .mul(1 - labelSmoothing)
      .add(labelSmoothing / classes);
    const each = t
      .mul(w ? logSoftmax(x).mul(w) : logSoftmax(x))
      .sum(-1)
      .neg();
    return perEntry(each);
  }

  const labels = labelsOf("crossEntropy", x, target, ignoreIndex);
  const logSum = logSumExp(x);
  let each = logSum.sub(pick(x, labels));
  const weight = w?.gather(labels);
  if (weight) each = each.mul(weight);
  if (labelSmoothing > 0) {
    const log = x.sub(logSum.unsqueeze(-1));
    const spread = (w ? log.mul(w) : log).sum(-1);
    each = each.mul(1 - labelSmoothing).sub(spread.mul(labelSmoothing / classes));
  }
  if (ignoreIndex === undefined) return weight ? { total: each.sum(), weight: weight.sum() } : perEntry(each);
  const ignored = target.eq(ignoreIndex);
  return { total: ignored.where(0, each).sum(), weight: ignored.where(0, weight ?? scalar(1, x.dtype)).sum() };
});

/** Class numbers as floats have the shape of class numbers, and are a mistake. */
function requireProbabilities(x: Tensor, target: Tensor): void {
  const expected = x.shape.slice(0, -1);
  const squeezed = sameShape(target.shape, [...expected, 1]);
  if (!sameShape(target.shape, expected) && !squeezed) return;
  fail(
    `crossEntropy: the target ${target} has the shape of class numbers, and is no integer; logits ${x} need class numbers i32[${expected}] or probabilities ${x.dtype}[${x.shape}]`,
    `make class numbers integers where they come in: value([${expected}], numbers, "i32")`,
  );
}

function classesOf(name: string, x: Tensor): number {
  if (!x.isFloat) fail(`${name}: the logits ${x} are not floats`);
  const classes = x.shape.at(-1);
  if (classes === undefined) fail(`${name}: the logits ${x} have no axis of classes`);
  if (classes === 1) {
    fail(
      `${name}: the logits ${x} have one class on their last axis, so the loss would always be 0`,
      "binaryCrossEntropy takes one logit",
    );
  }
  return classes;
}

/** Integer targets of logits, held to 0 … classes − 1. */
function labelsOf(name: string, x: Tensor, target: Tensor, except?: number): Tensor {
  const expected = x.shape.slice(0, -1);
  if (!sameShape(target.shape, expected)) {
    const hint = sameShape(target.shape, [...expected, 1])
      ? "target.squeeze(-1)"
      : sameShape(target.shape, x.shape)
        ? `one-hot targets are probabilities: target.cast("${x.dtype}")`
        : undefined;
    fail(`${name}: logits ${x} need integer targets of shape [${expected}], got ${target}`, hint);
  }
  const classes = x.shape.at(-1)!;
  return target.bound(classes, `${name}: logits ${x} have ${classes} classes`, except);
}

/** max(0, 1 − t · x) for targets −1 and 1. Slope 0 at the margin. */
export const hinge = loss((x, t) =>
  perEntry(
    relu(
      x
        .mul(paired("hinge", x, t))
        .neg()
        .add(1),
    ),
  ),
);

/**
 * Σ_{j ≠ y} max(0, margin − x_y + x_j)^power / classes, over examples. Crammer & Singer 2001; summed over j, and divided
 * by the classes, as PyTorch's multi_margin_loss.   x: f32[.., classes], target: int[..]
 */
export const multiClassHinge = loss<{ readonly margin?: number; readonly power?: 1 | 2 }>(
  (x, target, { margin = 1, power: p = 1 }) => {
    const classes = classesOf("multiClassHinge", x);
    const labels = labelsOf("multiClassHinge", x, target);
    const over = relu(x.sub(pick(x, labels).unsqueeze(-1)).add(margin));
    // the term j = y, which the sum leaves out, is margin^p and constant
    const each = power(over, p)
      .sum(-1)
      .sub(margin ** p);
    return perEntry(each.mul(1 / classes));
  },
);

/**
 * Kullback-Leibler divergence Σ t (log t − x) of log-probabilities x from target probabilities t; 0 log 0 is 0.
 *
 * per  what the mean counts: "entry" as PyTorch's default, or "example" (its `batchmean`), which is the divergence itself
 */
export const klDivergence = loss<{ readonly per?: "entry" | "example" }>((x, target, { per = "entry" }) => {
  const t = paired("klDivergence", x, target);
  const none = t.le(0);
  const each = none.where(0, t.mul(none.where(1, t).log().sub(x)));
  const examples = per === "entry" ? size(x.shape) : size(x.shape.slice(0, -1));
  return { total: each.sum(), weight: scalar(examples, x.dtype) };
});
