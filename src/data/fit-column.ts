/**
 * What a column of a table is encoded by, fitted on its training rows: plain JSON. Columns that say nothing, or that name
 * their rows, have none.
 */
import type { CategoricalColumn, Column, NumericColumn } from "./table.ts";
import { natural } from "./target.ts";
import type { Warning } from "./warning.ts";

/** sign(x − from) · ln(1 + |x − from| / scale): linear near `from`, logarithmic far from it. */
type Fold = { readonly from: number; readonly scale: number };

export type NumericCode = {
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

export type CategoricalCode = {
  readonly kind: "categorical";
  readonly name: string;
  /** In natural order; null, the missing category, is last. */
  readonly categories: readonly (string | null)[];
  /** Whether a last column pools the categories that are not listed. */
  readonly other: boolean;
};

export type Code = NumericCode | CategoricalCode;

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

/**
 * Tails are heavy when |skewness| > 3 or excess kurtosis > 10: Kline, "Principles and practice of structural equation
 * modeling", calls that extreme. (The normal distribution has 0 and 0, the exponential 2 and 6.)
 */
const extreme = { skewness: 3, kurtosis: 10 };

/** A column with this share of different texts names its rows rather than describing them. */
const identifying = 0.9;

/** Throws nothing: what leaves a column out, a warning, comes in place of its code; others are added to `warnings`. */
export function fitColumn(
  column: Column,
  rows: ArrayLike<number>,
  options: FitOptions,
  warnings: Warning[],
): Code | Warning {
  const reason = options.keep?.includes(column.name) ? undefined : identifier(column);
  if (reason) return reason;
  return column.kind === "numeric"
    ? fitNumeric(column, rows, options, warnings)
    : fitCategories(column, rows, options, warnings);
}

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

export const folded = ({ from, scale }: Fold, x: number): number =>
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
