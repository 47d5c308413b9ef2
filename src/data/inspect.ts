/**
 * What a careful person would look for before believing a test score: rows that are in both parts, a column that gives
 * the answer away, classes that hardly occur, too few rows.
 */
import { fail, shown } from "../ir/fail.ts";
import { permutation } from "../random.ts";
import { isList, isNamed, requireOptions, requireTable } from "./given.ts";
import type { Split } from "./split.ts";
import { type Column, columnOf, missingAt, type Table, textAt } from "./table.ts";
import type { Task } from "./target.ts";
import type { Warning } from "./warning.ts";

export type InspectOptions = {
  readonly target: string;
  readonly task: Task;
  readonly split: Split;
  /** Columns that are not used as features, and so cannot leak. */
  readonly ignored?: readonly string[];
};

/** Warnings about a table and its split, the gravest first. The target has no missing cells. */
export function inspect(table: Table, options: InspectOptions): Warning[] {
  const call = 'inspect(table, { target: "city", task: "multiclass", split: split(table.rows, { seed: 1 }) })';
  requireTable("inspect", table, "{ target, task, split }");
  requireOptions("inspect", options, call);
  const { target, task, split, ignored = [] } = options;
  if (!isNamed(split) || !isList(split.train) || !isList(split.validation) || !isList(split.test)) {
    fail(`inspect: split: expected what split gives, got ${shown(split)}`, call);
  }
  const y = columnOf(table, target);
  const features = table.columns.filter((column) => column.name !== target && !ignored.includes(column.name));
  return [
    ...leakage(features, y, task),
    ...duplicates(features, y, split),
    ...(task === "regression" ? [] : imbalance(y)),
    ...fewRows(split.train.length, features.length),
  ];
}

function fewRows(train: number, features: number): Warning[] {
  if (train >= 50 && train > features) return [];
  const why = train < 50 ? "scores on so little data vary by chance" : `there are ${features} columns, more than rows`;
  return [{ kind: "few-rows", message: `There are ${train} rows to train on: ${why}.`, evidence: { train, features } }];
}

/** A class with less than a fifth of an even share, or with fewer than ten rows in data that has enough of them. */
function imbalance(y: Column): Warning[] {
  const { ids, labels } = codes(y);
  const counts = tally(ids, labels.length);
  const rows = ids.length;
  const smallest = counts.reduce((a, b) => Math.min(a, b));
  const largest = counts.reduce((a, b) => Math.max(a, b));
  const majority = largest / rows;
  if (smallest >= rows / counts.length / 5 && (smallest >= 10 || rows < 100)) return [];
  const label = labels[counts.indexOf(smallest)];
  const message =
    `Class "${label}" has ${smallest} of ${rows} rows (${percent(smallest / rows)}); ` +
    `always answering "${labels[counts.indexOf(largest)]}" would be right in ${percent(majority)}: ` +
    "look at recall and F1, not at accuracy alone.";
  return [
    { kind: "imbalance", message, evidence: { smallest, rows, share: smallest / rows, majorityAccuracy: majority } },
  ];
}

/** Held-out rows whose feature cells all equal those of a training row. */
function duplicates(features: readonly Column[], y: Column, { train, validation, test }: Split): Warning[] {
  if (features.length === 0) return [];
  const parts = features.map((column) => (column.kind === "numeric" ? column.values : codes(column).ids));
  const same = (a: number, b: number) => parts.every((cells) => Object.is(cells[a], cells[b]));
  const word = new Uint32Array(new Float64Array(1).buffer);
  const float = new Float64Array(word.buffer);
  // FNV-1a over the cells' two words; equal hashes are compared cell by cell.
  const hash = (row: number) => {
    let h = 0x811c9dc5;
    for (const cells of parts) {
      float[0] = cells[row]!;
      h = Math.imul(h ^ word[0]!, 0x01000193);
      h = Math.imul(h ^ (h >>> 15) ^ word[1]!, 0x01000193);
    }
    return h;
  };
  const seen = new Map<number, number[]>();
  for (const row of train) {
    const h = hash(row);
    const bucket = seen.get(h);
    if (!bucket) seen.set(h, [row]);
    else if (!bucket.some((other) => same(other, row))) bucket.push(row);
  }
  const repeated = (rows: Int32Array) => {
    const pairs: [number, number][] = [];
    for (const row of rows) {
      const twin = seen.get(hash(row))?.find((other) => same(other, row));
      if (twin !== undefined) pairs.push([row, twin]);
    }
    return pairs;
  };
  const inTest = repeated(test);
  const inValidation = repeated(validation);
  if (inTest.length + inValidation.length === 0) return [];
  const contradicting = [...inTest, ...inValidation].filter(([a, b]) => textAt(y, a) !== textAt(y, b)).length;
  const where = [
    ...(inTest.length > 0 ? [`${inTest.length} of ${test.length} test rows`] : []),
    ...(inValidation.length > 0 ? [`${inValidation.length} of ${validation.length} validation rows`] : []),
  ];
  const otherwise = contradicting > 0 ? ` (${contradicting} with another target)` : "";
  const message = `${where.join(" and ")} repeat a training row exactly${otherwise}: the score may look better than it is.`;
  const evidence = { test: inTest.length, testRows: test.length, validation: inValidation.length, contradicting };
  return [{ kind: "duplicates-across-split", message, evidence }];
}

/** Beyond this many classes, the search for the best pieces takes longer than it is worth. */
const mostClasses = 100;
/** Rows looked at for leakage: more would not change the answer. */
const sample = 2000;
/** Where an honest column stops: iris's best single column gets .96 of its classes right, wine's .80. */
const suspicious = { accuracy: 0.99, correlation: 0.999, rows: 30 };

/**
 * Columns that give the target away on their own. Silent for fewer than 30 rows, where chance can do it, and for a
 * single column, which is all the user has.
 */
function leakage(features: readonly Column[], y: Column, task: Task): Warning[] {
  const n = y.values.length;
  if (n < suspicious.rows || features.length < 2) return [];
  const rows = n > sample ? permutation(n, 0).subarray(0, sample) : Int32Array.from({ length: n }, (_, row) => row);
  const found = task === "regression" || y.kind === "numeric" ? features.flatMap((x) => correlated(x, y, rows)) : [];
  if (task === "regression") return found;
  const { ids: classes, labels } = codes(y, rows);
  const k = labels.length;
  if (k > mostClasses) return found;
  const counts = tally(classes, k);
  const majority = Math.max(...counts) / rows.length;
  for (const x of features) {
    if (found.some((warning) => warning.column === x.name)) continue;
    const accuracy = x.kind === "numeric" ? thresholds(x.values, rows, classes, k) : byCategory(x, rows, classes, k);
    // On imbalanced data any column is nearly always right: it must also remove nine tenths of the majority's errors.
    if (accuracy < suspicious.accuracy || 1 - accuracy > (1 - majority) / 10) continue;
    found.push({
      kind: "leakage",
      column: x.name,
      message:
        `Column "${x.name}" alone tells the class in ${percent(accuracy)} of the rows: ` +
        `is it known before "${y.name}" is?`,
      evidence: { accuracy, majorityAccuracy: majority, rows: rows.length },
    });
  }
  return found;
}

/** |r| between a numeric column and a numeric target, over rows where the column is there. */
function correlated(x: Column, y: Column, rows: Int32Array): Warning[] {
  if (x.kind !== "numeric" || y.kind !== "numeric") return [];
  const at = rows.filter((row) => !missingAt(x, row));
  if (at.length < suspicious.rows) return [];
  const a = standardised(x.values, at);
  const b = standardised(y.values, at);
  const r = a.reduce((s, v, i) => s + v * b[i]!, 0) / at.length;
  if (!(Math.abs(r) >= suspicious.correlation)) return []; // NaN where either is constant
  return [
    {
      kind: "leakage",
      column: x.name,
      message:
        `Column "${x.name}" has a correlation of ${r.toFixed(4)} with "${y.name}": ` +
        `is it known before "${y.name}" is?`,
      evidence: { correlation: r, rows: at.length },
    },
  ];
}

function standardised(values: Float64Array, rows: Int32Array): Float64Array {
  const x = Float64Array.from(rows, (row) => values[row]!);
  const mean = x.reduce((a, b) => a + b / x.length, 0);
  const sd = Math.sqrt(x.reduce((a, b) => a + (b - mean) ** 2 / x.length, 0));
  return x.map((v) => (v - mean) / sd);
}

/**
 * The best accuracy of cutting a column into at most k pieces with one class each, missing cells being a piece of their
 * own: a decision stump for two classes, its like for more. Dynamic programming over the sorted values, exact.
 */
function thresholds(values: Float64Array, rows: Int32Array, classes: Int32Array, k: number): number {
  const missing = new Float64Array(k);
  const present: number[] = [];
  for (let i = 0; i < rows.length; i++) {
    if (Number.isNaN(values[rows[i]!])) missing[classes[i]!]!++;
    else present.push(i);
  }
  present.sort((a, b) => values[rows[a]!]! - values[rows[b]!]!);
  // best[p·k + c]: most rows right so far with p + 1 pieces, the last of them of class c.
  const best = new Float64Array(k * k);
  const right = new Float64Array(k);
  for (let i = 0; i < present.length; ) {
    const v = values[rows[present[i]!]!];
    right.fill(0);
    for (; i < present.length && values[rows[present[i]!]!] === v; i++) right[classes[present[i]!]!]!++;
    for (let p = k - 1; p >= 0; p--) {
      let before = 0;
      if (p > 0) for (let c = 0; c < k; c++) before = Math.max(before, best[(p - 1) * k + c]!);
      for (let c = 0; c < k; c++) best[p * k + c] = Math.max(best[p * k + c]!, before) + right[c]!;
    }
  }
  return (Math.max(...best) + Math.max(...missing)) / rows.length;
}

/** Accuracy of each category's most frequent class. In a category of fewer than five rows, one proves nothing. */
function byCategory(x: Column, rows: Int32Array, classes: Int32Array, k: number): number {
  const { ids, labels } = codes(x, rows);
  const counts = labels.map(() => new Array<number>(k).fill(0));
  ids.forEach((id, i) => {
    counts[id]![classes[i]!]!++;
  });
  let right = 0;
  for (const of of counts) {
    const size = of.reduce((a, b) => a + b, 0);
    right += Math.max(...of) - (size < 5 ? 1 : 0);
  }
  return right / rows.length;
}

/** Each cell, of all rows or of some, as a number of its distinct text. */
function codes(column: Column, rows?: Int32Array): { ids: Int32Array; labels: (string | null)[] } {
  const index = new Map<string | null, number>();
  const ids = Int32Array.from({ length: rows?.length ?? column.values.length }, (_, i) => {
    const text = textAt(column, rows ? rows[i]! : i);
    const id = index.get(text) ?? index.size;
    index.set(text, id);
    return id;
  });
  return { ids, labels: [...index.keys()] };
}

function tally(ids: Int32Array, k: number): number[] {
  const counts = new Array<number>(k).fill(0);
  for (const id of ids) counts[id]!++;
  return counts;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
