/**
 * A table as a learning problem: what is to be predicted from what, on which rows. Everything here is a function of the
 * file and of a few settings that run.json keeps, so that a run is found again as it was.
 */
import { createHash } from "node:crypto";
import type { CsvOptions } from "../data/csv.ts";
import { type Encoder, fitEncoder } from "../data/encode.ts";
import { readBytes, readCsv } from "../data/files.ts";
import { inspect } from "../data/inspect.ts";
import { type Split, split } from "../data/split.ts";
import { columnOf, type Kind, type Table } from "../data/table.ts";
import { ClassTarget, fitTarget, inferTask, type Target, type Task } from "../data/target.ts";
import type { Warning } from "../data/warning.ts";
import { fail } from "../ir/fail.ts";
import { type Value, value } from "../ir/value.ts";
import { columnsNamed } from "./options.ts";

/** How a file is read: plain JSON, kept in run.json so that predict and eval read theirs alike. */
export type Reading = {
  readonly header?: boolean;
  readonly delimiter?: string;
  readonly decimal?: "." | ",";
  readonly missing?: readonly string[];
  readonly categorical?: readonly string[];
  readonly numeric?: readonly string[];
};

export type Choices = Reading & {
  readonly target: string;
  readonly task?: Task;
  /** Columns not to use, and columns to use although they look like identifiers. */
  readonly drop?: readonly string[];
  readonly keep?: readonly string[];
  readonly testFraction: number;
  readonly seed: number;
};

export type Problem = {
  readonly table: Table;
  readonly target: Target;
  /** Why the task is what it is. */
  readonly reason: string;
  /** The class number of each row; undefined for a quantity. */
  readonly classes: Int32Array | undefined;
  readonly split: Split;
  readonly encoder: Encoder;
  readonly warnings: readonly Warning[];
};

/** What a network learns from, or is measured on: x f32[n, d]; y i32[n] of several classes, else f32[n, 1]. */
export type Part = { readonly x: Value<"f32">; readonly y: Value };

/** The options of the CSV reader. Names of columns are given as texts; a name may hold commas, so the file decides. */
export function csvOptions(
  { header, delimiter, decimal, missing }: Reading,
  kinds: Readonly<Record<string, Kind>>,
): CsvOptions {
  return {
    ...(header !== undefined && { header }),
    ...(delimiter !== undefined && { delimiter }),
    ...(decimal !== undefined && { decimal }),
    ...(missing !== undefined && { missing }),
    kinds,
  };
}

/** The table of a file. Throws what `readCsv` throws, and where a column that was declared is not there. */
export function readTable(path: string, reading: Reading): Table {
  const kinds: Record<string, Kind> = {};
  for (const kind of ["categorical", "numeric"] as const) {
    for (const text of reading[kind] ?? []) {
      // Before the file is read nobody knows whether "a,b" is one column or two: all readings are declared.
      for (const name of [text, ...columnsNamed([text], [])]) kinds[name] = kind;
    }
  }
  const table = readCsv(path, csvOptions(reading, kinds));
  const names = table.columns.map(({ name }) => name);
  for (const kind of ["categorical", "numeric"] as const) {
    for (const name of columnsNamed(reading[kind], names)) columnOf(table, name);
  }
  return table;
}

/**
 * The problem a table poses. `validation` is the share of all rows that is held out to watch training.
 * Throws what the target, the split and the encoder throw, and where a choice names a column that is not there.
 */
export function problemOf(table: Table, choices: Choices, validation: number): Problem {
  const column = columnOf(table, choices.target);
  const names = table.columns.map(({ name }) => name);
  const [drop, keep] = [choices.drop, choices.keep].map((texts) => columnsNamed(texts, names)) as [string[], string[]];
  for (const name of [...drop, ...keep]) columnOf(table, name);
  if (drop.includes(choices.target)) fail(`--drop: "${choices.target}" is the target`);
  const both = drop.find((name) => keep.includes(name));
  if (both !== undefined) fail(`--drop and --keep: column "${both}" is in both`);

  const inferred = inferTask(column);
  const task = choices.task ?? inferred.task;
  const whole = fitTarget(table, choices.target, { task }); // refuses missing cells, one class, texts as quantities
  const classes = whole instanceof ClassTarget ? whole.encode(table).data : undefined;
  const parts = split(table.rows, {
    seed: choices.seed,
    test: choices.testFraction,
    validation,
    ...(classes && { classes }),
  });
  const target = fitTarget(table, choices.target, { task, rows: parts.train });
  const exclude = [choices.target, ...drop];
  const { encoder, warnings } = fitEncoder(table, { rows: parts.train, exclude, keep });
  const { ignored } = encoder.toJSON();
  const seen = inspect(table, { target: choices.target, task, split: parts, ignored });
  return {
    table,
    target,
    reason: choices.task ? `as --task says` : inferred.reason,
    classes,
    split: parts,
    encoder,
    warnings: [...seen, ...heavyTarget(table, target, parts.train), ...warnings],
  };
}

/** Some rows as the network sees them. A category that only they have counts as none. */
export function partOf({ table, encoder, target }: Problem, rows: Int32Array): Part {
  return { x: encoder.transform(table, { rows, unseen: "other" }).x, y: shaped(target, target.encode(table, rows)) };
}

/** The target as the loss wants it. */
export const shaped = (target: Target, y: Value): Value =>
  target.task === "multiclass" ? y : value([y.data.length, 1], Float32Array.from(y.data));

/** A file's contents as a short text, to know it again. */
export const fingerprint = (path: string): string =>
  createHash("sha256").update(readBytes(path)).digest("hex").slice(0, 32);

/**
 * A quantity whose excess kurtosis is above 10 (see `extreme` in data/fit-column.ts): squared errors, and so RMSE and R²,
 * are then those of a few rows.
 */
function heavyTarget(table: Table, target: Target, rows: Int32Array): Warning[] {
  if (target.task !== "regression") return [];
  const y = target.encode(table, rows).data; // mean 0, sd 1
  const kurtosis = y.reduce((sum, v) => sum + v ** 4, 0) / y.length - 3;
  if (!(kurtosis > 10)) return [];
  const positive = y.every((v) => target.decode(v) > 0);
  const advice = positive ? " Its logarithm may be the better target." : "";
  return [
    {
      kind: "heavy-tail",
      message: `The target "${target.name}" has heavy tails (excess kurtosis ${kurtosis.toFixed(0)}): RMSE and R² hang on a few large values.${advice}`,
      evidence: { kurtosis },
    },
  ];
}
