/** How good a network's answers are, in the target's own unit and classes. */
import type { Target } from "../data/target.ts";
import { fail } from "../ir/fail.ts";
import type { Value } from "../ir/value.ts";
import {
  accuracy,
  classesOf,
  confusion,
  logLoss,
  mae,
  mse,
  probabilities,
  r2,
  rmse,
  rocAuc,
  type Scores,
  scoresPerClass,
} from "../train/metrics.ts";

export type ClassScore = {
  readonly kind: "classes";
  readonly rows: number;
  /** Mean cross-entropy. */
  readonly loss: number;
  readonly accuracy: number;
  readonly right: number;
  /** What always answering the most frequent class would get. */
  readonly majority: number;
  readonly confusion: readonly (readonly number[])[];
  readonly perClass: readonly Scores[];
  /** Of two classes; undefined for more, and where only one occurs. */
  readonly auc?: number;
};

export type NumberScore = {
  readonly kind: "number";
  readonly rows: number;
  /** Mean squared error of the standardised target. */
  readonly loss: number;
  readonly rmse: number;
  readonly mae: number;
  readonly r2: number;
};

export type Score = ClassScore | NumberScore;

/**
 * outputs f32[n, 1 | k], as the network gives them; truth as `shaped` gives it. Throws where a number that results is
 * not finite: a score of NaN would look like one.
 */
export function score(target: Target, outputs: Value, truth: Value): Score {
  const rows = truth.shape[0] ?? 0;
  if (rows === 0) fail("there are no rows to measure the model on");
  const found =
    target.task === "regression"
      ? numberScore(target, outputs, truth)
      : classScore(target.labels.length, outputs, truth);
  for (const [name, x] of Object.entries(found)) {
    if (typeof x === "number" && !Number.isFinite(x)) {
      fail(
        `the model's ${name} on ${rows} rows is ${x}`,
        "its answers are not finite: train again with a smaller --lr",
      );
    }
  }
  return found;
}

function classScore(k: number, outputs: Value, truth: Value): ClassScore {
  const y = truth.data;
  const predicted = classesOf(outputs);
  const counts = confusion(y, predicted, k);
  const sizes = counts.map((row) => row.reduce((a, b) => a + b, 0));
  const auc = k === 2 ? rocAuc(y, outputs.data) : NaN;
  return {
    kind: "classes",
    rows: y.length,
    loss: logLoss(y, probabilities(outputs), k),
    accuracy: accuracy(y, predicted),
    right: counts.reduce((sum, row, c) => sum + row[c]!, 0),
    majority: Math.max(...sizes) / y.length,
    confusion: counts,
    perClass: scoresPerClass(counts),
    ...(Number.isFinite(auc) && { auc }),
  };
}

function numberScore(target: Target & { readonly task: "regression" }, outputs: Value, truth: Value): NumberScore {
  const own = (z: Value) => Float64Array.from(z.data, (v) => target.decode(v));
  const [predicted, y] = [own(outputs), own(truth)];
  return {
    kind: "number",
    rows: y.length,
    loss: mse(truth.data, outputs.data),
    rmse: rmse(y, predicted),
    mae: mae(y, predicted),
    r2: r2(y, predicted),
  };
}

/** Wilson's 95 % interval of a share, 1927: what other held-out rows might have given. */
export function interval(right: number, rows: number): [number, number] {
  const z = 1.96;
  const p = right / rows;
  const centre = p + (z * z) / (2 * rows);
  const half = z * Math.sqrt((p * (1 - p)) / rows + (z * z) / (4 * rows * rows));
  const scale = 1 + (z * z) / rows;
  return [(centre - half) / scale, (centre + half) / scale];
}
