/** What `fit` is given, looked at before anything is compiled: each mistake with its place and, where known, the remedy. */
import { isFloat } from "../ir/dtype.ts";
import { fail, shown } from "../ir/fail.ts";
import { Value } from "../ir/value.ts";
import type { Schedule } from "../optim/index.ts";
import type { Entry } from "./checkpoint.ts";
import type { Data } from "./examples.ts";
import type { Metric } from "./metrics.ts";

/** Anything by name: options that nobody's types have looked at. */
type Named = Readonly<Record<string, unknown>>;
const isNamed = (x: unknown): x is Named => typeof x === "object" && x !== null && !Array.isArray(x);

/** The call as it should be, for hints. */
const fitCall =
  "fit({ net, loss: crossEntropy, optimizer: adam(), lr: 0.001, data: { train: { x, y }, validation: { x, y } }, epochs: 10 })";

/** Objects that fit calls, and by what. */
const handed: Readonly<Record<string, readonly string[]>> = {
  store: ["save", "load", "saveModel", "log"],
  signal: ["addEventListener", "removeEventListener"],
};
const handedHint: Readonly<Record<string, string>> = {
  store: 'a folder is RunFolder.create("runs/a", { seed, configuration, data }) of downhill/train/folder',
  signal: "controller.signal of an AbortController",
};

/** Throws where the options of `fit` are not of the kinds they must be: what got past no type checker. */
export function requireFitOptions(options: unknown): void {
  if (!isNamed(options)) fail(`fit: expected one object of options, got ${shown(options)}`, fitCall);
  const { net, loss, optimizer, lr, data, metrics, start } = options;
  requireNet("fit: net", net);
  requireLoss("fit: loss", loss);
  if (!isNamed(optimizer) || typeof optimizer.update !== "function" || typeof optimizer.init !== "function") {
    fail(
      `fit: optimizer: expected what adam() and its like give, got ${shown(optimizer)}`,
      typeof optimizer === "function" ? `call it: optimizer: ${optimizer.name || "rule"}()` : "optimizer: adam()",
    );
  }
  if (typeof lr !== "number" && typeof lr !== "function") {
    fail(
      `fit: lr: expected a number, or a function of the updates done before, got ${shown(lr)}`,
      "lr: 0.001, or a schedule: lr: cosine({ lr: 0.001, steps: 1000 })",
    );
  }
  if (!isNamed(data) || !("train" in data)) {
    fail(
      `fit: data: expected { train } or { train, validation }, got ${shown(data)}`,
      isNamed(data) && "x" in data ? "data: { train: { x, y } }" : fitCall,
    );
  }
  if (metrics !== undefined) requireMetrics("fit: metrics", metrics);
  for (const [name, methods] of Object.entries(handed)) {
    const given = options[name];
    if (given === undefined || (isNamed(given) && methods.every((m) => typeof given[m] === "function"))) continue;
    fail(`fit: ${name}: expected what has ${methods.join(", ")}, got ${shown(given)}`, handedHint[name]);
  }
  if (start !== undefined) requireModel("fit: start", start, "start: { params, state }, as init(net, seed) gives them");
}

export function requireNet(name: string, net: unknown): void {
  if (isNamed(net) && net.kind === "module") return;
  const hint =
    typeof net === "function"
      ? "call it, as in linear(3, 2), and put functions of tensors, such as relu, into a sequential"
      : Array.isArray(net)
        ? "sequential(...layers) makes one module of them"
        : "such as sequential(linear(3, 8), relu, linear(8, 2))";
  fail(`${name}: expected a module, got ${shown(net)}`, hint);
}

export function requireLoss(name: string, loss: unknown): void {
  if (typeof loss === "function") return;
  fail(
    `${name}: expected a function of prediction and target, got ${shown(loss)}`,
    typeof loss === "string" && /^[a-z]\w*$/i.test(loss)
      ? `without quotes, the function itself: import { ${loss} } from "downhill/nn"`
      : 'loss: mse, or loss: crossEntropy, from "downhill/nn"',
  );
}

export function requireMetrics(name: string, metrics: unknown): void {
  const list = Array.isArray(metrics) ? metrics : [metrics];
  const wrong = list.find((m) => !isNamed(m) || typeof m.name !== "string" || typeof m.of !== "function");
  if (Array.isArray(metrics) && wrong === undefined && !list.includes(undefined)) return;
  const names = list.filter((m) => typeof m === "string").map((m) => JSON.stringify(m));
  fail(
    `${name}: expected a list of metrics, got ${Array.isArray(metrics) ? `one with ${shown(wrong)} in it` : shown(metrics)}`,
    `by name they are metricsOf("multiclass", [${names.length > 0 ? names.join(", ") : '"accuracy"'}]), of all tasks in metrics`,
  );
}

export function requireModel(name: string, model: unknown, hint: string): void {
  if (isNamed(model) && isNamed(model.params) && isNamed(model.state)) return;
  const lacks = isNamed(model) ? ["params", "state"].filter((part) => !isNamed(model[part])) : [];
  fail(
    `${name}: expected { params, state }, got ${shown(model)}${lacks.length === 1 ? `: it has no ${lacks[0]}` : ""}`,
    hint,
  );
}

/** Throws where options are given as anything but an object. */
export function requireObject(name: string, options: unknown, hint: string): void {
  if (!isNamed(options)) fail(`${name}: expected an object of options, got ${shown(options)}`, hint);
}

export function requireValue(name: string, v: unknown): void {
  if (v instanceof Value) return;
  const rows = Array.isArray(v) ? v.length : undefined;
  const columns = rows !== undefined && Array.isArray(v) && Array.isArray(v[0]) ? v[0].length : undefined;
  fail(
    `${name}: expected a Value, numbers with a shape, got ${shown(v)}`,
    columns === undefined
      ? `value([${rows ?? "rows"}${name.endsWith("y") ? "" : ", columns"}], numbers); class numbers are value([${rows ?? "rows"}], numbers, "i32")`
      : `value([${rows}, ${columns}], rows.flat())`,
  );
}

/** Rows of some data. Throws where there are none, or x and y differ in length. */
export function requireData(name: string, data: Data): number {
  if (!isNamed(data)) fail(`${name}: expected { x, y }, got ${shown(data)}`, "{ x: value([n, columns], …), y: … }");
  if ("batch" in data) return data.rows;
  const { x, y } = data;
  requireValue(`${name}: x`, x);
  requireValue(`${name}: y`, y);
  const n = x.shape[0];
  if (n === undefined || n === 0) fail(`${name}: x is ${x}; its first axis must be the rows, at least one`);
  if (y.shape[0] !== n) {
    fail(
      `${name}: x is ${x}, y is ${y}: ${n} rows and ${y.shape[0] ?? "no"} targets`,
      "axis 0 of both must be the rows",
    );
  }
  return n;
}

/** The same; throws also where a number is not finite. */
export function rowsOf(name: string, data: Data): number {
  const rows = requireData(name, data);
  const parts = "batch" in data ? data.resident : { x: data.x, y: data.y };
  for (const [part, v] of Object.entries(parts)) finite(`${name}: ${part}`, v);
  return rows;
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

/** The learning rate as a schedule that throws where it is no rate. `history` may grow: it is looked at when asked. */
export function scheduleOf(lr: number | Schedule, history: readonly Entry[] = []): (step: number) => number {
  if (typeof lr === "number") {
    if (!(lr > 0 && lr < Infinity)) fail(`lr: expected a number above 0, got ${lr}`);
    return () => lr;
  }
  return (step) => {
    const rate: unknown = (lr.following?.(history) ?? lr)(step);
    if (typeof rate !== "number") {
      fail(
        `lr: a schedule gives a number for each step, this one ${shown(rate)}`,
        "such as cosine({ lr: 0.001, steps: 1000 }), the result and not the function",
      );
    }
    if (!(rate >= 0 && rate < Infinity)) fail(`lr: the schedule gives ${rate} for step ${step + 1}`);
    return rate;
  };
}

/** Throws where a schedule follows what will not be measured, before an entry has been trained for. */
export function requireFollowed(lr: number | Schedule, validation: boolean, metrics: readonly Metric[]): void {
  if (typeof lr === "number" || !lr.following) return;
  const first = { step: 0, trainLoss: 0, metrics: Object.fromEntries(metrics.map(({ name }) => [name, 0])) };
  lr.following([{ ...first, ...(validation && { validationLoss: 0 }) }])(0);
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
