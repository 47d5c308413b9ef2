/**
 * Tables to numbers a network can learn from. Everything is fitted on the training rows alone and is plain JSON, so
 * that a row means the same at predict time as it did in training.
 *
 *   number      missing → median, and a 0/1 column that says so; heavy tails folded by a logarithm; standardised;
 *               clipped
 *   category    one 0/1 column per category, the rarest pooled as "other" when there are many; missing is a category
 */
import { fail, shown } from "../ir/fail.ts";
import { type Value, value } from "../ir/value.ts";
import { isList, isNamed, requireOptions, requireTable } from "./given.ts";
import { listed, nearest } from "./near.ts";
import {
  type CategoricalColumn,
  type Column,
  type Kind,
  type NumericColumn,
  numberIn,
  place,
  type Table,
  textAt,
} from "./table.ts";
import { natural } from "./target.ts";
import type { Warning } from "./warning.ts";

/** sign(x − from) · ln(1 + |x − from| / scale): linear near `from`, logarithmic far from it. */
type Fold = { readonly from: number; readonly scale: number };

type NumericCode = {
  readonly kind: "numeric";
  readonly name: string;
  /** The training rows' least and greatest value. */
  readonly low: number;
  readonly high: number;
  /** What a missing cell becomes. */
  readonly median: number;
  /** Null where the tails are not heavy. */
  readonly fold: Fold | null;
  /** Mean and standard deviation after folding; null for a column that is constant but sometimes missing. */
  readonly standard: { readonly mean: number; readonly sd: number } | null;
  /** Whether a 0/1 column says that the cell was missing. */
  readonly flag: boolean;
};

type CategoricalCode = {
  readonly kind: "categorical";
  readonly name: string;
  /** In natural order; null, the missing category, is last. */
  readonly categories: readonly (string | null)[];
  /** Whether a last column pools the categories that are not listed. */
  readonly other: boolean;
};

type Code = NumericCode | CategoricalCode;

export type EncoderJson = {
  readonly version: 1;
  readonly columns: readonly Code[];
  /** Columns seen in training and left out: the target, constants, identifiers. */
  readonly ignored: readonly string[];
};

export type FitOptions = {
  /** The training rows; all unless given. */
  readonly rows?: ArrayLike<number>;
  /** Columns that are no features: the target. */
  readonly exclude?: readonly string[];
  /** Columns to use although they look like identifiers or dates. */
  readonly keep?: readonly string[];
  /** Columns that one categorical column may become; 32 unless given. */
  readonly maxCategories?: number;
  /** Fold heavy tails; true unless given. */
  readonly foldTails?: boolean;
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

/**
 * Tails are heavy when |skewness| > 3 or excess kurtosis > 10: Kline, "Principles and practice of structural equation
 * modeling", calls that extreme. (The normal distribution has 0 and 0, the exponential 2 and 6.)
 */
const extreme = { skewness: 3, kurtosis: 10 };

/** A column with this share of different texts names its rows rather than describing them. */
const identifying = 0.9;

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
  const { exclude = [], keep = [] } = options;
  const rows = options.rows ?? Int32Array.from({ length: table.rows }, (_, row) => row);
  if (rows.length === 0) fail(`${table.source}: no training rows to fit the encoding on`);
  const columns: Code[] = [];
  const ignored = [...exclude];
  const warnings: Warning[] = [];
  for (const column of table.columns) {
    if (exclude.includes(column.name)) continue;
    const reason = keep.includes(column.name) ? undefined : identifier(column);
    const code =
      reason ??
      (column.kind === "numeric"
        ? fitNumeric(column, rows, options, warnings)
        : fitCategories(column, rows, options, warnings));
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

// Fitting.

const idNames = [/^(?:id|index|idx|row|row ?names?|row ?id|no|nr|unnamed.*|column1)$/i, /[_ -]id$/i, /[a-z]I[dD]$/];
const dates = /^(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})(?:[T ].*)?$/;

/** Why a column names its rows instead of describing them; undefined when it does not. */
function identifier(column: Column): Warning | undefined {
  const drop = (why: string, evidence: Record<string, number>): Warning => ({
    kind: "dropped-column",
    column: column.name,
    message: `Column "${column.name}" is left out: ${why}.`,
    evidence,
  });
  const cells = column.values;
  const rows = cells.length;
  if (column.kind === "numeric") {
    if (rows < 20 || !idNames.some((pattern) => pattern.test(column.name))) return undefined;
    const distinct = new Set(column.values).size;
    if (distinct < rows || !column.values.every(Number.isInteger)) return undefined;
    return drop("by its name and its all different whole numbers it identifies the rows", { distinct, rows });
  }
  const present = column.values.filter((cell) => cell !== null);
  const distinct = new Set(present).size;
  if (present.length >= 5 && present.every((cell) => dates.test(cell))) {
    return drop("it holds dates; derive numbers such as year, month or days since an event from it", {
      distinct,
      rows,
    });
  }
  const all = present.length >= 5 && distinct === present.length;
  const most = present.length >= 20 && distinct >= identifying * present.length;
  if (!all && !most) return undefined;
  return drop(`${distinct} of its ${present.length} texts are different, so it identifies the rows`, {
    distinct,
    rows,
  });
}

const constant = (name: string, why: string): Warning => ({
  kind: "constant-column",
  column: name,
  message: `Column "${name}" is left out: ${why}.`,
  evidence: { distinct: 1 },
});

function fitNumeric(
  column: NumericColumn,
  rows: ArrayLike<number>,
  options: FitOptions,
  warnings: Warning[],
): NumericCode | Warning {
  const { name } = column;
  const x = Float64Array.from(rows, (row) => column.values[row]!)
    .filter((v) => !Number.isNaN(v))
    .sort();
  if (x.length === 0) return constant(name, "all its cells are missing in the training rows");
  const flag = x.length < rows.length;
  const median = quantile(x, 0.5);
  const low = x[0]!;
  const high = x[x.length - 1]!;
  if (low === high) {
    if (!flag) return constant(name, `it is ${low} in every training row`);
    return { kind: "numeric", name, low, high, median, fold: null, standard: null, flag };
  }
  const before = moments(x);
  const fold = options.foldTails === false ? null : fitFold(x, before);
  const values = fold ? x.map((v) => folded(fold, v)) : x;
  const after = fold ? moments(values) : before;
  if (fold) {
    warnings.push({
      kind: "heavy-tail",
      column: name,
      message:
        `Column "${name}" has heavy tails (skewness ${digits(before.skewness)}, ` +
        `excess kurtosis ${digits(before.kurtosis)}) and is put on a logarithmic scale.`,
      evidence: { ...before, skewnessAfter: after.skewness, kurtosisAfter: after.kurtosis },
    });
  }
  // Statistics as the network sees the column: missing cells count as the median.
  const seen = flag
    ? Float64Array.from([
        ...values,
        ...new Array<number>(rows.length - x.length).fill(fold ? folded(fold, median) : median),
      ])
    : values;
  const { mean, sd } = moments(seen);
  if (!(sd > 0)) return constant(name, "its values are the same to 16 digits");
  return { kind: "numeric", name, low, high, median, fold, standard: { mean, sd }, flag };
}

/**
 * Where to fold: at the end the values crowd at, when they lean to one side (the first percentile, not the minimum, so
 * that one absurd cell cannot move it), else at the median; in units of the lower quartile of the distances from there.
 */
function fitFold(x: Float64Array, { skewness, kurtosis }: Moments): Fold | null {
  if (Math.abs(skewness) <= extreme.skewness && kurtosis <= extreme.kurtosis) return null;
  if (x.every((v) => v === x[0] || v === x[x.length - 1])) return null; // two values have no tails
  const from =
    skewness > 1
      ? x[Math.floor(0.01 * x.length)]!
      : skewness < -1
        ? x[Math.ceil(0.99 * x.length) - 1]!
        : quantile(x, 0.5);
  const distances = x
    .map((v) => Math.abs(v - from))
    .filter((d) => d > 0)
    .sort();
  const fold = { from, scale: quantile(distances, 0.25) };
  const after = moments(x.map((v) => folded(fold, v)));
  return after.kurtosis < kurtosis ? fold : null;
}

const folded = ({ from, scale }: Fold, x: number): number =>
  Math.sign(x - from) * Math.log1p(Math.abs(x - from) / scale);

type Moments = { readonly mean: number; readonly sd: number; readonly skewness: number; readonly kurtosis: number };

/** Population moments; the excess kurtosis. Scaled first, so that no power of a huge value overflows. */
function moments(x: Float64Array): Moments {
  const unit = x.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
  const n = x.length;
  const mean = x.reduce((a, b) => a + b / unit, 0) / n;
  let m2 = 0;
  let m3 = 0;
  let m4 = 0;
  for (const v of x) {
    const d = v / unit - mean;
    m2 += (d * d) / n;
    m3 += (d * d * d) / n;
    m4 += (d * d * d * d) / n;
  }
  return { mean: mean * unit, sd: Math.sqrt(m2) * unit, skewness: m3 / m2 ** 1.5, kurtosis: m4 / m2 ** 2 - 3 };
}

/** Between order statistics, linearly: Hyndman and Fan's type 7, as in NumPy. */
function quantile(sorted: Float64Array, q: number): number {
  const at = q * (sorted.length - 1);
  const low = sorted[Math.floor(at)]!;
  return low + (sorted[Math.ceil(at)]! - low) * (at - Math.floor(at));
}

const digits = (x: number): string => (Math.abs(x) < 100 ? x.toFixed(1) : x.toFixed(0));

function fitCategories(
  column: CategoricalColumn,
  rows: ArrayLike<number>,
  options: FitOptions,
  warnings: Warning[],
): CategoricalCode | Warning {
  const { name } = column;
  const most = options.maxCategories ?? 32;
  const counts = new Map<string | null, number>();
  for (let i = 0; i < rows.length; i++) {
    const category = column.values[rows[i]!]!;
    counts.set(category, (counts.get(category) ?? 0) + 1);
  }
  if (counts.size === 1) {
    const only = [...counts.keys()][0];
    return constant(
      name,
      only == null ? "all its cells are missing in the training rows" : `it is "${only}" in every training row`,
    );
  }
  const order = (a: string | null, b: string | null) => (a === null ? 1 : b === null ? -1 : natural(a, b));
  const byCount = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)! || order(a, b));
  const other = counts.size > most;
  const categories = (other ? byCount.slice(0, most - 1) : byCount).sort(order);
  if (other) {
    const pooled = byCount.slice(most - 1).reduce((n, category) => n + counts.get(category)!, 0);
    warnings.push({
      kind: "many-categories",
      column: name,
      message:
        `Column "${name}" has ${counts.size} categories: the ${most - 1} most frequent are kept, ` +
        `the others (${pooled} of ${rows.length} rows) count as one.`,
      evidence: { categories: counts.size, kept: most - 1, pooledRows: pooled },
    });
  }
  return { kind: "categorical", name, categories, other };
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
