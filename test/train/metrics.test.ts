/** Metrics against scikit-learn's numbers (scripts/golden/metrics.py), and at the seams it does not have. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { value } from "../../src/ir/value.ts";
import * as m from "../../src/train/metrics.ts";

type Averages = { precision: number; recall: number; f1: number };
type Golden = {
  classification: {
    name: string;
    truth: number[];
    predicted: number[];
    classes: number;
    accuracy: number;
    confusion: number[][];
    macro: Averages;
    binary?: Averages;
    perClass: { precision: number[]; recall: number[]; f1: number[] };
  }[];
  ranking: { name: string; truth: number[]; score: number[]; auc: number | null }[];
  logLoss: { name: string; truth: number[]; probability: number[] | number[][]; logLoss: number }[];
  regression: {
    name: string;
    truth: number[];
    predicted: number[];
    mse: number;
    rmse: number;
    mae: number;
    r2: number;
  }[];
};
const golden = JSON.parse(readFileSync(new URL("../golden/metrics.json", import.meta.url), "utf8")) as Golden;

const expectClose = (got: number, want: number) =>
  expect(Math.abs(got - want)).toBeLessThanOrEqual(1e-12 * Math.abs(want));

describe("as scikit-learn", () => {
  test.each(golden.classification)("classification: $name", (c) => {
    expectClose(m.accuracy(c.truth, c.predicted), c.accuracy);
    expect(m.confusion(c.truth, c.predicted, c.classes)).toEqual(c.confusion);
    const macro = m.macroScores(c.truth, c.predicted, c.classes);
    const each = m.scoresPerClass(c.confusion);
    for (const name of ["precision", "recall", "f1"] as const) {
      expectClose(macro[name], c.macro[name]);
      each.forEach((s, k) => expectClose(s[name], c.perClass[name][k]!));
      if (c.binary) expectClose(m.binaryScores(c.truth, c.predicted)[name], c.binary[name]);
    }
  });

  test.each(golden.ranking)("AUC: $name", ({ truth, score, auc }) => {
    const got = m.rocAuc(truth, score);
    if (auc === null) expect(got).toBeNaN();
    else expectClose(got, auc);
  });

  test.each(golden.logLoss)("log loss: $name", ({ truth, probability, logLoss }) => {
    const classes = Array.isArray(probability[0]) ? probability[0].length : 2;
    expectClose(m.logLoss(truth, probability.flat(), classes), logLoss);
  });

  test.each(golden.regression)("regression: $name", (c) => {
    expectClose(m.mse(c.truth, c.predicted), c.mse);
    expectClose(m.rmse(c.truth, c.predicted), c.rmse);
    expectClose(m.mae(c.truth, c.predicted), c.mae);
    expectClose(m.r2(c.truth, c.predicted), c.r2);
  });
});

test("AUC equals the count over all pairs, ties one half", () => {
  let state = 1;
  const next = (n: number) => {
    state = (state * 48271) % 2147483647;
    return state % n;
  };
  const truth = Array.from({ length: 200 }, () => next(2));
  const score = Array.from({ length: 200 }, () => next(12));
  let wins = 0;
  let pairs = 0;
  truth.forEach((a, i) =>
    truth.forEach((b, j) => {
      if (a !== 1 || b !== 0) return;
      pairs++;
      wins += score[i]! > score[j]! ? 1 : score[i] === score[j] ? 0.5 : 0;
    }),
  );
  expectClose(m.rocAuc(truth, score), wins / pairs);
});

describe("at the seams", () => {
  test("no rows are NaN, not 0", () => {
    expect([m.accuracy([], []), m.mse([], []), m.rocAuc([], []), m.logLoss([], [])]).toEqual([NaN, NaN, NaN, NaN]);
    expect(m.macroScores([], [], 3)).toEqual({ precision: NaN, recall: NaN, f1: NaN });
  });

  test("a NaN score has no rank; infinite scores do", () => {
    expect(m.rocAuc([0, 1, 1], [0.1, NaN, 0.2])).toBeNaN();
    expect(m.rocAuc([0, 1, 1], [-Infinity, Infinity, 0.2])).toBe(1);
  });

  test("lengths that differ and classes that do not exist are refused", () => {
    expect(() => m.accuracy([1], [1, 0])).toThrow("accuracy: 1 targets, 2 predictions");
    expect(() => m.confusion([0, 3], [0, 1], 3)).toThrow("row 1 has class 3");
    expect(() => m.confusion([0, 1.5], [0, 1], 3)).toThrow("row 1 has class 1.5");
    expect(() => m.logLoss([0, 2], [0.5, 0.5])).toThrow("row 1 has class 2");
    expect(() => m.logLoss([0, 1], [0.5, 0.5, 0.1])).toThrow("3 probabilities for 2 rows");
  });
});

describe("metrics read what a network gives", () => {
  const y = value([4], [1, 0, 1, 0], "i32");
  const one = value([4, 1], [2, -1, -0.5, 1]);
  const two = value([4, 2], [0, 2, 0, -1, 0, -0.5, 0, 1]);

  test("one logit for two classes, or two, or one without an axis", () => {
    const measure = (z: m.Metric["of"] extends (z: infer Z, y: never) => number ? Z : never) =>
      m.metricsOf("binary").map((metric) => [metric.name, metric.of(z, y)]);
    const want = Object.entries({ accuracy: 0.5, precision: 0.5, recall: 0.5, f1: 0.5, auc: 0.75 });
    expect(measure(one).slice(0, 5)).toEqual(want);
    expect(measure(value([4], one.data))).toEqual(measure(one));
    measure(two).forEach(([name, got], k) => {
      expect(name).toBe(measure(one)[k]![0]);
      expectClose(got as number, measure(one)[k]![1] as number);
    });
  });

  test("AUC ranks logits whose probabilities are all 1", () => {
    const auc = m.metricsOf("binary", ["auc"])[0]!;
    expect(auc.of(value([2, 1], [800, 900]), value([2], [0, 1], "i32"))).toBe(1);
    expect(auc.of(value([2, 2], [0, 800, 0, 900]), value([2], [0, 1], "i32"))).toBe(1);
  });

  test("softmax keeps its head at large logits, and the first of equals is chosen", () => {
    const z = value([2, 3], [1000, 1000, -1000, 0, 5, 5]);
    expect([...m.probabilities(z)].slice(0, 3)).toEqual([0.5, 0.5, 0]);
    expect([...m.classesOf(z)]).toEqual([0, 1]);
    const [acc] = m.metricsOf("multiclass", ["accuracy"]);
    expect(acc!.of(z, value([2], [0, 2], "i32"))).toBe(0.5);
  });

  test("an unknown name lists the known ones", () => {
    expect(() => m.metricsOf("regression", ["accuracy"])).toThrow(
      'no "accuracy" for regression; there are rmse, mae, r2',
    );
  });
});
