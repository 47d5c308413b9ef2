/**
 * Tables to numbers a network can learn from. Everything is fitted on the training rows alone (fit-column.ts) and is plain
 * JSON, so that a row means the same at predict time as it did in training.
 *
 *   number      missing → median, and a 0/1 column that says so; heavy tails folded by a logarithm; standardised;
 *               clipped
 *   category    one 0/1 column per category, the rarest pooled as "other" when there are many; missing is a category
 */
import { fail, shown } from "../ir/fail.ts";
import { type Value, value } from "../ir/value.ts";
import { type CategoricalCode, type Code, type FitOptions, fitColumn, folded, type NumericCode } from "./fit-column.ts";
import { isList, isNamed, requireOptions, requireTable } from "./given.ts";
import { listed, nearest } from "./near.ts";
import { type Column, type Kind, numberIn, place, type Table, textAt } from "./table.ts";
import type { Warning } from "./warning.ts";

export type EncoderJson = {
  readonly version: 1;
  readonly columns: readonly Code[];
  /** Columns seen in training and left out: the target, constants, identifiers. */
  readonly ignored: readonly string[];
};

export type TransformOptions = {
  /** Rows to encode, in this order; all unless given. */
  readonly rows?: ArrayLike<number>;
  /**
   * A category that training never saw: an error (the default), or no category, all zeros. Where training pooled rare
   * categories as "other", a new one is one of them either way.
   */
  readonly unseen?: "error" | "other";
};

export type Encoded = {
  /** `f32[n, d]` */
  readonly x: Value<"f32">;
  readonly featureNames: readonly string[];
  readonly warnings: readonly Warning[];
};

export type Codes = {
  /** `i32[n, c]`: the categories' places in their columns' lists, 0 … size − 1. */
  readonly codes: Value<"i32">;
  /** The c categorical columns; the last of `size` codes is for whatever is not in the list. */
  readonly columns: readonly { readonly name: string; readonly size: number }[];
  readonly warnings: readonly Warning[];
};

/** Standard deviations at which values are cut off, so that one absurd cell cannot drown the rest. */
const clip = 10;

/** Fit the encoding of the feature columns. Throws when no usable column is left. */
export function fitEncoder(table: Table, options: FitOptions = {}): { encoder: Encoder; warnings: Warning[] } {
  requireTable("fitEncoder", table);
  requireOptions("fitEncoder", options, 'fitEncoder(table, { exclude: ["target"] })');
  for (const name of ["rows", "exclude", "keep"] as const) {
    if (options[name] === undefined || isList(options[name])) continue;
    fail(
      `fitEncoder: ${name}: expected a list, got ${shown(options[name])}`,
      'fitEncoder(table, { exclude: ["target"] })',
    );
  }
  const { exclude = [] } = options;
  const rows = options.rows ?? Int32Array.from({ length: table.rows }, (_, row) => row);
  if (rows.length === 0) fail(`${table.source}: no training rows to fit the encoding on`);
  const columns: Code[] = [];
  const ignored = [...exclude];
  const warnings: Warning[] = [];
  for (const column of table.columns) {
    if (exclude.includes(column.name)) continue;
    const code = fitColumn(column, rows, options, warnings);
    if ("message" in code) {
      warnings.push(code);
      ignored.push(column.name);
    } else columns.push(code);
  }
  if (columns.length === 0) {
    const reasons = warnings.map((warning) => warning.message).join("; ");
    fail(`${table.source}: no column is left to learn from${reasons && `: ${reasons}`}`);
  }
  return { encoder: new Encoder({ version: 1, columns, ignored }), warnings };
}

export class Encoder {
  readonly #json: EncoderJson;
  /** One per column of x, such as `age`, `age (missing)`, `city=Bern`. */
  readonly featureNames: readonly string[];

  constructor(json: EncoderJson) {
    if (!isNamed(json)) fail(`encoder: expected what toJSON gave, got ${shown(json)}`, "JSON.parse(text)");
    if (json.version !== 1) {
      fail(`encoder: version ${json.version} is not known to this release, which reads version 1`);
    }
    this.#json = json;
    this.featureNames = json.columns.flatMap(featureNames);
  }

  toJSON(): EncoderJson {
    return this.#json;
  }

  /** What each column must be read as: to be given to the reader of another file. */
  get kinds(): Readonly<Record<string, Kind>> {
    return Object.fromEntries(this.#json.columns.map((code) => [code.name, code.kind]));
  }

  /** Names of the columns whose tails are folded. */
  get folded(): readonly string[] {
    return this.#json.columns.filter((code) => code.kind === "numeric" && code.fold).map((code) => code.name);
  }

  /**
   * Encode rows; the order of the table's columns does not matter, and columns that training did not know are ignored
   * with a warning. Throws when a column is missing, holds words instead of numbers, or a category that
   * training never saw.
   */
  transform(table: Table, { rows, unseen = "error" }: TransformOptions = {}): Encoded {
    requireTable("transform", table);
    const at = rows ?? Int32Array.from({ length: table.rows }, (_, row) => row);
    const width = this.featureNames.length;
    const x = new Float32Array(at.length * width);
    const warnings = this.#columns(table);
    let first = 0;
    for (const code of this.#json.columns) {
      const column = table.columns.find(({ name }) => name === code.name)!;
      const put = (i: number, k: number, v: number) => {
        x[i * width + first + k] = v;
      };
      const warning =
        code.kind === "numeric"
          ? encodeNumbers(code, numbersOf(table, column), at, put)
          : encodeCategories(code, table, column, at, unseen, put);
      if (warning) warnings.push(warning);
      first += featureNames(code).length;
    }
    return { x: value([at.length, width], x), featureNames: this.featureNames, warnings };
  }

  /** The categorical columns as integers, as an embedding wants them. Throws as `transform` does. */
  codes(table: Table, { rows, unseen = "error" }: TransformOptions = {}): Codes {
    requireTable("codes", table);
    const at = rows ?? Int32Array.from({ length: table.rows }, (_, row) => row);
    const categorical = this.#json.columns.filter((code) => code.kind === "categorical");
    const sizes = categorical.map((code) => code.categories.length + 1);
    const codes = Int32Array.from({ length: at.length * sizes.length }, (_, k) => sizes[k % sizes.length]! - 1);
    const warnings = this.#columns(table);
    categorical.forEach((code, c) => {
      const column = table.columns.find(({ name }) => name === code.name)!;
      const warning = encodeCategories(code, table, column, at, unseen, (i, k) => {
        codes[i * sizes.length + c] = k;
      });
      if (warning) warnings.push(warning);
    });
    const columns = categorical.map(({ name }, c) => ({ name, size: sizes[c]! }));
    return { codes: value([at.length, sizes.length], codes, "i32"), columns, warnings };
  }

  #columns(table: Table): Warning[] {
    const { columns, ignored } = this.#json;
    const known = new Set([...columns.map((code) => code.name), ...ignored]);
    const given = table.columns.map((column) => column.name);
    const extra = given.filter((name) => !known.has(name));
    const missing = columns.map((code) => code.name).filter((name) => !given.includes(name));
    if (missing.length > 0) {
      const renamed = missing
        .map((name) => ({ name, near: nearest(name, extra) }))
        .filter(({ near }) => near !== undefined)
        .map(({ name, near }) => `"${near}" is perhaps "${name}"`);
      fail(
        `${table.source}: ${missing.length === 1 ? "a column that" : `${missing.length} columns that`} training used ${
          missing.length === 1 ? "is" : "are"
        } missing: ${listed(missing)}`,
        renamed.length > 0 ? renamed.slice(0, 4).join("; ") : `the columns given are ${listed(given)}`,
      );
    }
    if (extra.length === 0) return [];
    const message =
      extra.length === 1
        ? `Column ${listed(extra)} was not there in training and is ignored.`
        : `Columns ${listed(extra)} were not there in training and are ignored.`;
    return [{ kind: "extra-columns", message, evidence: { columns: extra.length } }];
  }
}

/** An encoder from what its `toJSON` gave. Throws at another version. */
export const encoderFromJson = (json: EncoderJson): Encoder => new Encoder(json);

const named = (name: string, category: string | null): string => `${name}=${category ?? "(missing)"}`;

function featureNames(code: Code): string[] {
  if (code.kind === "numeric") {
    return [...(code.standard ? [code.name] : []), ...(code.flag ? [`${code.name} (missing)`] : [])];
  }
  const names = code.categories.map((category) => named(code.name, category));
  return code.other ? [...names, `${code.name}=(other)`] : names;
}

// Encoding. `put(i, k, v)` sets feature k of this column in row i.

type Put = (i: number, k: number, v: number) => void;

function encodeNumbers(
  code: NumericCode,
  values: Float64Array,
  rows: ArrayLike<number>,
  put: Put,
): Warning | undefined {
  const { standard, fold, flag, name } = code;
  let clipped = 0;
  for (let i = 0; i < rows.length; i++) {
    const cell = values[rows[i]!]!;
    const missing = Number.isNaN(cell);
    if (flag) put(i, standard ? 1 : 0, missing ? 1 : 0);
    if (!standard) continue;
    const x = missing ? code.median : cell;
    const z = ((fold ? folded(fold, x) : x) - standard.mean) / standard.sd;
    if (Math.abs(z) > clip && (x < code.low || x > code.high)) clipped++;
    put(i, 0, Math.max(-clip, Math.min(clip, z)));
  }
  if (clipped === 0) return undefined;
  return {
    kind: "clipped",
    column: name,
    message:
      `Column "${name}" is outside the training range and more than ${clip} standard deviations from the mean ` +
      `in ${clipped === 1 ? "1 row" : `${clipped} rows`}; it is cut off there.`,
    evidence: { rows: clipped, limit: clip },
  };
}

/** The numbers of a column that training read as numbers, whatever this file's reader took it for. */
function numbersOf(table: Table, column: Column): Float64Array {
  if (column.kind === "numeric") return column.values;
  return Float64Array.from(column.values, (cell, row) => {
    if (cell === null) return NaN;
    const x = numberIn(cell);
    if (x !== undefined && Number.isFinite(x)) return x;
    return fail(
      `${place(table, row)}, column "${column.name}": "${cell}" is not a number, as it was in training`,
      "correct it, or leave the cell empty",
    );
  });
}

function encodeCategories(
  code: CategoricalCode,
  table: Table,
  column: Column,
  rows: ArrayLike<number>,
  unseen: "error" | "other",
  put: Put,
): Warning | undefined {
  const index = new Map(code.categories.map((category, k) => [category, k]));
  let unknown = 0;
  for (let i = 0; i < rows.length; i++) {
    const category = textAt(column, rows[i]!);
    const k = index.get(category) ?? (code.other ? code.categories.length : undefined);
    if (k !== undefined) put(i, k, 1);
    else if (unseen === "other") unknown++;
    else refuseCategory(code, table, rows[i]!, category);
  }
  if (unknown === 0) return undefined;
  return {
    kind: "unseen-category",
    column: code.name,
    message:
      `Column "${code.name}" has categories that training never saw ` +
      `in ${unknown === 1 ? "1 row" : `${unknown} rows`}; they count as none.`,
    evidence: { rows: unknown },
  };
}

function refuseCategory(code: CategoricalCode, table: Table, row: number, category: string | null): never {
  const known = code.categories.filter((c) => c !== null);
  const near = category === null ? undefined : nearest(category, known);
  const what = category === null ? "a missing cell" : `category "${category}"`;
  fail(
    `${place(table, row)}, column "${code.name}": ${what} never occurred in training, ` + `which knew ${listed(known)}`,
    near === undefined
      ? 'to go on without it, let unseen categories count as none (unseen: "other")'
      : `did you mean "${near}"?`,
  );
}
