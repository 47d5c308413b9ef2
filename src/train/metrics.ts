/**
 * How good predictions are, in double precision on the host. The functions take plain arrays; a `Metric` reads what a
 * network gives (logits, or quantities), so that `fit` needs a name and nothing else.
 *
 * Where a quotient is 0/0 (no class predicted, or none present) it is 0, as in scikit-learn with zero_division=0.
 * Without any row, everything is NaN.
 */
import type { Task } from "../data/target.ts";
import { fail, shown } from "../ir/fail.ts";
import type { Value } from "../ir/value.ts";

type Numbers = ArrayLike<number>;

/** Share of equal entries. */
export function accuracy(truth: Numbers, predicted: Numbers): number {
  paired("accuracy", truth, predicted);
  let right = 0;
  for (let i = 0; i < truth.length; i++) if (truth[i] === predicted[i]) right++;
  return right / truth.length;
}

/** Counts [k][k]: row = true class, column = predicted class. Throws at a class outside 0 … k − 1. */
export function confusion(truth: Numbers, predicted: Numbers, classes: number): number[][] {
  paired("confusion", truth, predicted);
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < truth.length; i++) {
    const row = counts[truth[i]!];
    if (row?.[predicted[i]!] === undefined) {
      fail(`confusion: row ${i} has class ${truth[i]}, predicted ${predicted[i]}; classes are 0 … ${classes - 1}`);
    }
    row[predicted[i]!]!++;
  }
  return counts;
}

export type Scores = { readonly precision: number; readonly recall: number; readonly f1: number };

/** Precision TP/(TP+FP), recall TP/(TP+FN) and F1 = 2TP/(2TP+FP+FN) of each class, from a confusion matrix. */
export function scoresPerClass(counts: readonly (readonly number[])[]): Scores[] {
  return counts.map((row, k) => {
    const hit = row[k]!;
    const present = row.reduce((a, b) => a + b, 0);
    const claimed = counts.reduce((a, r) => a + r[k]!, 0);
    return {
      precision: quotient(hit, claimed),
      recall: quotient(hit, present),
      f1: quotient(2 * hit, present + claimed),
    };
  });
}

/** Precision, recall and F1 of class 1. */
export const binaryScores = (truth: Numbers, predicted: Numbers): Scores =>
  truth.length === 0 ? nothing : scoresPerClass(confusion(truth, predicted, 2))[1]!;

/** Their plain means over all classes 0 … k − 1, those that never occur included. */
export function macroScores(truth: Numbers, predicted: Numbers, classes: number): Scores {
  if (truth.length === 0) return nothing;
  const each = scoresPerClass(confusion(truth, predicted, classes));
  const over = (name: keyof Scores) => mean(each.map((s) => s[name]));
  return { precision: over("precision"), recall: over("recall"), f1: over("f1") };
}

/**
 * Area under the ROC curve: the chance that a row of class 1 scores above a row of class 0, ties counting one half. By
 * rank sums (Mann and Whitney 1947): AUC = (R₁ − n₁(n₁ + 1)/2) / (n₀·n₁), tied scores sharing their mean rank.
 * NaN where one class is missing or a score is NaN.
 */
export function rocAuc(truth: Numbers, score: Numbers): number {
  paired("rocAuc", truth, score);
  const n = truth.length;
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => score[a]! - score[b]!);
  let ranks = 0;
  let positives = 0;
  for (let from = 0; from < n; ) {
    if (Number.isNaN(score[order[from]!])) return NaN;
    let to = from;
    let here = 0;
    for (; to < n && score[order[to]!] === score[order[from]!]; to++) here += truth[order[to]!] === 1 ? 1 : 0;
    ranks += (here * (from + 1 + to)) / 2; // ranks count from 1: the mean of from + 1 … to
    positives += here;
    from = Math.max(to, from + 1);
  }
  const negatives = n - positives;
  return (ranks - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/**
 * Mean of −ln p(true class). `probability` is [n] for class 1 of two, or [n, k] row by row; clipped to
 * [ε, 1 − ε], ε = 2⁻⁵², as scikit-learn does for doubles.
 */
export function logLoss(truth: Numbers, probability: Numbers, classes = 2): number {
  const wide = probability.length === truth.length * classes;
  if (!wide && (classes !== 2 || probability.length !== truth.length)) {
    fail(`logLoss: ${probability.length} probabilities for ${truth.length} rows of ${classes} classes`);
  }
  let sum = 0;
  for (let i = 0; i < truth.length; i++) {
    const k = truth[i]!;
    if (!(k >= 0 && k < classes)) fail(`logLoss: row ${i} has class ${k}; classes are 0 … ${classes - 1}`);
    const p = wide ? probability[i * classes + k]! : k === 1 ? probability[i]! : 1 - probability[i]!;
    sum -= Math.log(Math.min(Math.max(p, Number.EPSILON), 1 - Number.EPSILON));
  }
  return sum / truth.length;
}

/** Mean of (y − ŷ)². */
export function mse(truth: Numbers, predicted: Numbers): number {
  paired("mse", truth, predicted);
  let sum = 0;
  for (let i = 0; i < truth.length; i++) sum += (truth[i]! - predicted[i]!) ** 2;
  return sum / truth.length;
}

/** Root of the mean squared error, in the unit of y. */
export const rmse = (truth: Numbers, predicted: Numbers): number => Math.sqrt(mse(truth, predicted));

/** Mean of |y − ŷ|. */
export function mae(truth: Numbers, predicted: Numbers): number {
  paired("mae", truth, predicted);
  let sum = 0;
  for (let i = 0; i < truth.length; i++) sum += Math.abs(truth[i]! - predicted[i]!);
  return sum / truth.length;
}

/** 1 − Σ(y − ŷ)² / Σ(y − ȳ)². Where y is constant: 1 if every prediction is right, else 0, as in scikit-learn. */
export function r2(truth: Numbers, predicted: Numbers): number {
  const error = mse(truth, predicted);
  const centre = mean(truth);
  let spread = 0;
  for (let i = 0; i < truth.length; i++) spread += (truth[i]! - centre) ** 2;
  if (spread === 0) return error === 0 ? 1 : 0;
  return 1 - (error * truth.length) / spread;
}

/** Probabilities from logits: [n] or [n, 1] by the logistic function (class 1 of two), [n, k] by softmax. */
export function probabilities(outputs: Value): Float64Array<ArrayBuffer> {
  const { rows, columns } = table(outputs);
  if (columns === 1) return Float64Array.from(outputs.data, (z) => 1 / (1 + Math.exp(-z)));
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    const row = outputs.data.subarray(i * columns, (i + 1) * columns);
    let top = -Infinity;
    for (const z of row) top = Math.max(top, z);
    let sum = 0;
    for (const z of row) sum += Math.exp(z - top);
    for (let k = 0; k < columns; k++) out[i * columns + k] = Math.exp(row[k]! - top) / sum;
  }
  return out;
}

/** Classes from logits: 1 where a single column is above 0, else the column of the largest, the first where they tie. */
export function classesOf(outputs: Value): Int32Array<ArrayBuffer> {
  const { rows, columns } = table(outputs);
  if (columns === 1) return Int32Array.from(outputs.data, (z) => (z > 0 ? 1 : 0));
  return Int32Array.from({ length: rows }, (_, i) => {
    let best = 0;
    for (let k = 1; k < columns; k++) {
      if (outputs.data[i * columns + k]! > outputs.data[i * columns + best]!) best = k;
    }
    return best;
  });
}

export type Metric = {
  readonly name: string;
  readonly better: "higher" | "lower";
  /** `outputs`: what the network gives for all rows, [n, …]; `truth`: their targets, [n] or [n, …]. */
  readonly of: (outputs: Value, truth: Value) => number;
};

const higher = (name: string, of: Metric["of"]): Metric => ({ name, better: "higher", of });
const lower = (name: string, of: Metric["of"]): Metric => ({ name, better: "lower", of });

const correct = higher("accuracy", (z, y) => accuracy(y.data, classesOf(z)));
/** The probability of class 1, from one logit or from two. */
const positive = (z: Value): Numbers => {
  const p = probabilities(z);
  return table(z).columns === 1 ? p : p.filter((_, i) => i % 2 === 1);
};
const macro = (name: keyof Scores) => higher(name, (z, y) => macroScores(y.data, classesOf(z), table(z).columns)[name]);
const binary = (name: keyof Scores) => higher(name, (z, y) => binaryScores(y.data, classesOf(z))[name]);

/** What can be measured for each task; the first one is the usual headline. */
export const metrics: Record<Task, readonly Metric[]> = {
  binary: [
    correct,
    binary("precision"),
    binary("recall"),
    binary("f1"),
    higher("auc", (z, y) => rocAuc(y.data, ranking(z))),
    lower("logLoss", (z, y) => logLoss(y.data, positive(z))),
  ],
  multiclass: [
    correct,
    macro("precision"),
    macro("recall"),
    macro("f1"),
    lower("logLoss", (z, y) => logLoss(y.data, probabilities(z), table(z).columns)),
  ],
  regression: [
    lower("rmse", (z, y) => rmse(y.data, z.data)),
    lower("mae", (z, y) => mae(y.data, z.data)),
    higher("r2", (z, y) => r2(y.data, z.data)),
  ],
};

/** The order by probability of class 1, from the logits themselves: probabilities of 1 would tie. */
function ranking(z: Value): Numbers {
  const { rows, columns } = table(z);
  if (columns === 1) return z.data;
  return Float64Array.from({ length: rows }, (_, i) => z.data[2 * i + 1]! - z.data[2 * i]!);
}

/** All metrics of a task, or those named. Throws at a name it does not have. */
export function metricsOf(task: Task, names?: readonly string[]): readonly Metric[] {
  const all = metrics[task];
  if (!all) fail(`metrics: there is no task ${shown(task)}; there are ${Object.keys(metrics).join(", ")}`);
  if (names !== undefined && !Array.isArray(names)) {
    fail(`metrics: expected a list of names, got ${shown(names)}`, 'metricsOf("binary", ["auc"])');
  }
  return (
    names?.map((name) => {
      const known = all.map((m) => m.name).join(", ");
      return all.find((m) => m.name === name) ?? fail(`metrics: there is no "${name}" for ${task}; there are ${known}`);
    }) ?? all
  );
}

const nothing: Scores = { precision: NaN, recall: NaN, f1: NaN };

const quotient = (a: number, b: number): number => (b === 0 ? 0 : a / b);

function mean(xs: Numbers): number {
  let sum = 0;
  for (let i = 0; i < xs.length; i++) sum += xs[i]!;
  return sum / xs.length;
}

function table(outputs: Value): { rows: number; columns: number } {
  const rows = outputs.shape[0] ?? 1;
  return { rows, columns: rows === 0 ? 1 : outputs.data.length / rows };
}

function paired(what: string, truth: Numbers, predicted: Numbers): void {
  if (truth.length !== predicted.length) {
    fail(`${what}: ${truth.length} targets, ${predicted.length} predictions`);
  }
}
