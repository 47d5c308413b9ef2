/**
 * What is to be predicted: classes as numbers from 0, or a quantity standardised. Either is plain JSON, and either
 * leads back to what the file said.
 */
import { fail, shown } from "../ir/fail.ts";
import { type Value, value } from "../ir/value.ts";
import { isList, isNamed, requireColumn, requireOptions, requireTable } from "./given.ts";
import { listed, nearest } from "./near.ts";
import { type Column, columnOf, missingAt, place, type Table, textAt } from "./table.ts";

export type Task = "binary" | "multiclass" | "regression";

export type TargetJson =
  | {
      readonly version: 1;
      readonly name: string;
      readonly task: "binary" | "multiclass";
      readonly labels: readonly (string | number)[];
    }
  | {
      readonly version: 1;
      readonly name: string;
      readonly task: "regression";
      readonly mean: number;
      readonly sd: number;
    };

const tasks: readonly Task[] = ["binary", "multiclass", "regression"];

export type Inferred = { readonly task: Task; readonly reason: string };

/**
 * Classes or a quantity? Text is classes. Whole numbers are classes when there are two of them, or at most 20 with at
 * least 5 rows each on average; also when they are 0 … k − 1 or 1 … k, evenly filled (no class below a quarter of an
 * even share) and at least 20 rows each on average, up to k = 100. Every other number is a quantity.
 */
export function inferTask(column: Column): Inferred {
  requireColumn("inferTask", column);
  const counts = new Map<string | number, number>();
  let rows = 0;
  for (const cell of column.values) {
    if (cell === null || Number.isNaN(cell)) continue;
    rows++;
    counts.set(cell, (counts.get(cell) ?? 0) + 1);
  }
  const k = counts.size;
  const classes = (what: string): Inferred => ({
    task: k === 2 ? "binary" : "multiclass",
    reason: `"${column.name}" holds ${k} different ${what}`,
  });
  if (column.kind === "categorical") return classes("texts");
  const quantity: Inferred = { task: "regression", reason: `"${column.name}" is a quantity: ${k} different numbers` };
  const numbers = [...counts.keys()].map(Number);
  if (k > 100 || !numbers.every(Number.isInteger)) return quantity;
  if (k <= 2 || (k <= 20 && rows >= 5 * k)) return classes("whole numbers");
  const low = Math.min(...numbers);
  const counting = (low === 0 || low === 1) && Math.max(...numbers) === low + k - 1;
  const even = Math.min(...counts.values()) >= rows / k / 4;
  return counting && even && rows >= 20 * k ? classes("whole numbers, evenly filled") : quantity;
}

/** Class k is `labels[k]`: numbers ascending, or texts in natural order ("a2" before "a10"). */
export class ClassTarget {
  readonly name: string;
  readonly labels: readonly (string | number)[];
  readonly #index: Map<string, number>;

  constructor(name: string, labels: readonly (string | number)[]) {
    if (!isList(labels) || labels.length === 0) {
      fail(`ClassTarget: expected a list of labels, got ${shown(labels)}`, 'new ClassTarget("city", ["Bern", "Rome"])');
    }
    this.name = name;
    this.labels = labels;
    this.#index = new Map(labels.map((label, k) => [String(label), k]));
  }

  get task(): "binary" | "multiclass" {
    return this.labels.length === 2 ? "binary" : "multiclass";
  }

  /** Class numbers, `i32[n]`. Throws at a missing cell and at a label that training did not know. */
  encode(table: Table, rows?: ArrayLike<number>): Value<"i32"> {
    const column = columnOf(table, this.name);
    const at = rows ?? everyRow(table);
    const out = new Int32Array(at.length);
    for (let i = 0; i < out.length; i++) {
      const text = present(table, column, at[i]!);
      const k = this.#index.get(text);
      if (k === undefined) this.#refuse(table, at[i]!, text);
      out[i] = k;
    }
    return value([out.length], out, "i32");
  }

  /** The label of class k. */
  decode(k: number): string | number {
    return this.labels[k] ?? fail(`target "${this.name}" has ${this.labels.length} classes, there is no class ${k}`);
  }

  toJSON(): TargetJson {
    return { version: 1, name: this.name, task: this.task, labels: this.labels };
  }

  #refuse(table: Table, row: number, text: string): never {
    const known = this.labels.map(String);
    const near = nearest(text, known);
    fail(
      `${place(table, row)}, target "${this.name}": class "${text}" is unknown; ` + `training knew ${listed(known)}`,
      near === undefined ? undefined : `did you mean "${near}"?`,
    );
  }
}

/** (y − mean) / sd, by the mean and standard deviation of the training rows. */
export class NumberTarget {
  readonly task = "regression";
  readonly name: string;
  readonly mean: number;
  readonly sd: number;

  constructor(name: string, mean: number, sd: number) {
    if (!Number.isFinite(mean) || !Number.isFinite(sd)) {
      const hint = 'new NumberTarget("price", 120, 15)';
      fail(`NumberTarget: expected mean and sd as numbers, got ${shown(mean)} and ${shown(sd)}`, hint);
    }
    this.name = name;
    this.mean = mean;
    this.sd = sd;
  }

  /** Standardised, `f32[n]`. Throws at a missing cell and at a column of text. */
  encode(table: Table, rows?: ArrayLike<number>): Value<"f32"> {
    const at = rows ?? everyRow(table);
    const y = numbers(table, this.name, at);
    return value(
      [at.length],
      Float32Array.from(y, (v) => (v - this.mean) / this.sd),
    );
  }

  /** Back to the target's own unit. */
  decode(z: number): number {
    return z * this.sd + this.mean;
  }

  toJSON(): TargetJson {
    return { version: 1, name: this.name, task: this.task, mean: this.mean, sd: this.sd };
  }
}

export type Target = ClassTarget | NumberTarget;

/**
 * The target's encoding. Labels come from all rows, mean and standard deviation from `rows` (those of training) alone.
 * The task is inferred unless given. Throws when a cell is missing, when there is one class or one value only, when
 * every row is a class of its own, and when the task does not fit the column.
 */
export function fitTarget(
  table: Table,
  name: string,
  options: { readonly task?: Task; readonly rows?: ArrayLike<number> } = {},
): Target {
  requireTable("fitTarget", table, '"city"');
  requireOptions("fitTarget", options, 'fitTarget(table, "city", { task: "multiclass" })');
  const { task, rows } = options;
  if (task !== undefined && !tasks.includes(task)) {
    fail(`fitTarget: there is no task ${shown(task)}`, `tasks are ${listed(tasks)}`);
  }
  if (rows !== undefined && !isList(rows)) {
    fail(`fitTarget: rows: expected numbers of rows, got ${shown(rows)}`, "rows: split(table.rows, { seed: 1 }).train");
  }
  const column = columnOf(table, name);
  const all = everyRow(table);
  refuseMissing(table, column);
  if ((task ?? inferTask(column).task) === "regression") {
    const y = numbers(table, name, rows ?? all);
    const mean = y.reduce((a, b) => a + b, 0) / y.length;
    const sd = Math.sqrt(y.reduce((a, b) => a + (b - mean) ** 2, 0) / y.length);
    if (!y.some((v) => v !== y[0])) fail(`${table.source}: target "${name}" is ${y[0]} in every row: nothing to learn`);
    return new NumberTarget(name, mean, sd);
  }
  const distinct = new Set<string | number>(column.values as Iterable<string | number>); // nothing is missing
  const labels =
    column.kind === "numeric"
      ? [...distinct].map(Number).sort((a, b) => a - b)
      : [...distinct].map(String).sort(natural);
  if (labels.length === 1) {
    fail(
      `${table.source}: target "${name}" has one class only, "${labels[0]}"`,
      "a classifier needs rows of at least two classes",
    );
  }
  if (table.rows >= 10 && labels.length > table.rows / 2) {
    fail(
      `${table.source}: target "${name}" has ${labels.length} different values in ${table.rows} rows: ` +
        "these are no classes",
      column.kind === "numeric" ? "train a regression on it" : "choose another column as the target",
    );
  }
  if (task === "binary" && labels.length !== 2) {
    fail(
      `${table.source}: target "${name}" has ${labels.length} classes, a binary task has 2`,
      `its classes are ${listed(labels.map(String))}`,
    );
  }
  return new ClassTarget(name, labels);
}

/** A target from what its `toJSON` gave. Throws at another version. */
export function targetFromJson(json: TargetJson): Target {
  if (!isNamed(json)) fail(`targetFromJson: expected what toJSON gave, got ${shown(json)}`, "JSON.parse(text)");
  if (json.version !== 1) fail(`target: version ${json.version} is not known to this release, which reads version 1`);
  return json.task === "regression"
    ? new NumberTarget(json.name, json.mean, json.sd)
    : new ClassTarget(json.name, json.labels);
}

const collator = new Intl.Collator("en", { numeric: true });

/** Natural order, ties (such as "01" and "1") by code unit, so that it is total. */
export const natural = (a: string, b: string): number => collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);

const everyRow = (table: Table): Int32Array => Int32Array.from({ length: table.rows }, (_, row) => row);

function present(table: Table, column: Column, row: number): string {
  return (
    textAt(column, row) ??
    fail(`${place(table, row)}: the target "${column.name}" is missing`, "fill it in, or remove the row")
  );
}

function refuseMissing(table: Table, column: Column): void {
  const rows = [...everyRow(table)].filter((row) => missingAt(column, row));
  if (rows.length === 0) return;
  if (rows.length === table.rows) fail(`${table.source}: the target "${column.name}" is missing in every row`);
  const others = rows.length - 1;
  const more = others > 0 ? `, and in ${others} more ${others === 1 ? "row" : "rows"}` : "";
  fail(
    `${place(table, rows[0]!)}: the target "${column.name}" is missing${more}`,
    "fill it in, or remove such rows: nothing can be learned from them",
  );
}

function numbers(table: Table, name: string, rows: ArrayLike<number>): Float64Array {
  const column = columnOf(table, name);
  if (column.kind !== "numeric") {
    const row = rows[0] ?? 0;
    return fail(
      `${place(table, row)}: target "${name}" is the text "${column.values[row]}": a regression needs numbers`,
    );
  }
  return Float64Array.from(rows, (row) => {
    if (missingAt(column, row)) present(table, column, row);
    return column.values[row]!;
  });
}
