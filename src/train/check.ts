/** What `fit` is given, looked at before anything is compiled: each mistake with its place and, where known, the remedy. */
import { isFloat } from "../ir/dtype.ts";
import { fail } from "../ir/fail.ts";
import type { Value } from "../ir/value.ts";
import type { Schedule } from "../optim/index.ts";
import type { Data } from "./examples.ts";
import type { Metric } from "./metrics.ts";

/** Rows of some data. Throws where there are none, x and y differ in length, or a number is not finite. */
export function rowsOf(name: string, data: Data): number {
  if ("batch" in data) {
    for (const [part, v] of Object.entries(data.resident)) finite(`${name}: ${part}`, v);
    return data.rows;
  }
  const { x, y } = data;
  const n = x.shape[0];
  if (n === undefined || n === 0) fail(`${name}: x is ${x}; its first axis must be the rows, at least one`);
  if (y.shape[0] !== n) {
    fail(
      `${name}: x is ${x}, y is ${y}: ${n} rows and ${y.shape[0] ?? "no"} targets`,
      "axis 0 of both must be the rows",
    );
  }
  finite(`${name}: x`, x);
  finite(`${name}: y`, y);
  return n;
}

/** Throws at the first NaN or infinite number, naming row and column, counted from 0. */
function finite(name: string, v: Value): void {
  if (!isFloat(v.dtype)) return;
  let at = 0;
  while (at < v.data.length && Number.isFinite(v.data[at])) at++;
  if (at === v.data.length) return;
  const width = v.data.length / v.shape[0]!;
  const column = v.shape.length > 1 ? `, column ${at % width}` : "";
  fail(
    `${name} holds ${v.data[at]} in row ${Math.floor(at / width)}${column}`,
    "fill or leave out what is missing before training",
  );
}

/** The learning rate as a schedule that throws where it is no rate. */
export function scheduleOf(lr: number | Schedule): Schedule {
  if (typeof lr === "number") {
    if (!(lr > 0 && lr < Infinity)) fail(`lr: expected a number above 0, got ${lr}`);
    return () => lr;
  }
  return (step) => {
    const rate = lr(step);
    if (!(rate >= 0 && rate < Infinity)) fail(`lr: the schedule gives ${rate} for step ${step + 1}`);
    return rate;
  };
}

/** Epochs, or updates, from one entry of the history to the next. */
export type Every = number | { readonly steps: number };

/** Throws unless n is a whole number from 1. */
export function count(name: string, n: number): number {
  if (!Number.isInteger(n) || n < 1) fail(`${name}: expected a whole number from 1, got ${n}`);
  return n;
}

export type EarlyStopping = {
  /** Entries of the history without improvement before training stops. */
  readonly patience: number;
  /** The least change that counts as an improvement; 0 unless given. */
  readonly minDelta?: number;
  /** "loss", the loss on the validation data, unless the name of a metric is given. */
  readonly metric?: string;
};

/** Whether `now` improves on `best`. Throws where early stopping asks for what is not measured. */
export function improvement(early: EarlyStopping, metrics: readonly Metric[]): (now: number, best: number) => boolean {
  const { patience, minDelta = 0, metric = "loss" } = early;
  count("earlyStopping: patience", patience);
  if (!(minDelta >= 0)) fail(`earlyStopping: minDelta must be a number from 0, got ${minDelta}`);
  const known = metrics.find((m) => m.name === metric);
  if (!known && metric !== "loss") {
    const names = ["loss", ...metrics.map((m) => m.name)].join(", ");
    fail(`earlyStopping: "${metric}" is not measured`, `measured: ${names}; add it to metrics`);
  }
  return known?.better === "higher" ? (now, best) => now > best + minDelta : (now, best) => now < best - minDelta;
}
