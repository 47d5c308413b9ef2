/**
 * A table: named columns, each of numbers or of categories. Text becomes numbers only where a whole column is numbers;
 * a column of numbers with a few stray words is an error, because reading it as categories would quietly throw its
 * meaning away.
 */
import { fail, shown } from "../ir/fail.ts";
import { isList, isNamed, requireColumn, requireOptions, requireTable, requireText } from "./given.ts";
import { listed, nearest } from "./near.ts";

export type Kind = "numeric" | "categorical";

/** A missing number is NaN; every other value is finite. */
export type NumericColumn = { readonly kind: "numeric"; readonly name: string; readonly values: Float64Array };

/** A missing category is null. */
export type CategoricalColumn = {
  readonly kind: "categorical";
  readonly name: string;
  readonly values: readonly (string | null)[];
};

export type Column = NumericColumn | CategoricalColumn;

export type Table = {
  /** Where it came from, for messages: a path, or "table". */
  readonly source: string;
  readonly rows: number;
  readonly columns: readonly Column[];
  /** The line of the source that each row ends on, counted from 1; null when there are no lines. */
  readonly lines: Int32Array | null;
};

export type TableOptions = {
  /** Cells that mean "missing", besides the usual ones (see `isMissing`); compared without regard to case. */
  readonly missing?: readonly string[];
  /** What a column is, where it should not be guessed. */
  readonly kinds?: Readonly<Record<string, Kind>>;
  /** The decimal mark of numbers; "." unless given. */
  readonly decimal?: "." | ",";
};

/** Text cells, by column: what a reader hands over. */
export type Cells = {
  readonly source: string;
  readonly names: readonly string[];
  readonly columns: readonly (readonly string[])[];
  readonly lines: Int32Array | null;
};

type Origin = Pick<Cells, "source" | "lines">;

const markers = new Set(["", "na", "n/a", "null", "none", "?", "nan"]);

/** An empty cell, NA, N/A, null, None, ? or NaN, in any case. */
export function isMissing(cell: string): boolean {
  requireText("isMissing", cell, 'isMissing("NA"); of a column it is missingAt(column, row)');
  return cell.length < 5 && markers.has(cell.toLowerCase());
}

const decimalNumber = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const infinity = /^[+-]?inf(?:inity)?$/i;

/** The number a cell spells in decimal or scientific notation, ±Infinity for "inf"; undefined for anything else. */
export function numberIn(cell: string, decimal: "." | "," = "."): number | undefined {
  const text = decimal === "," ? cell.replace(",", ".") : cell;
  if (decimalNumber.test(text)) return Number(text);
  return infinity.test(text) ? (text.startsWith("-") ? -Infinity : Infinity) : undefined;
}

/** "data.csv: line 7", or "table: row 7" (from 1) where the source has no lines. */
export function place(origin: Origin, row: number): string {
  if (!isNamed(origin) || !Number.isInteger(row)) {
    fail(`place: expected a table and the number of a row, got ${shown(origin)} and ${shown(row)}`, "place(table, 0)");
  }
  return `${origin.source}: ${origin.lines ? `line ${origin.lines[row]}` : `row ${row + 1}`}`;
}

/**
 * Text cells to a table. Throws, naming line and column: duplicate or missing names, no rows, an infinite number, a
 * word among numbers, numbers with a comma.
 */
export function tableFromCells(cells: Cells, options: TableOptions = {}): Table {
  if (!isNamed(cells) || !isList(cells.names) || !isList(cells.columns)) {
    fail(
      `tableFromCells: expected cells, got ${shown(cells)}`,
      'tableFromCells({ source: "file", names: ["age"], columns: [["31", "27"]], lines: null })',
    );
  }
  requireTableOptions("tableFromCells: options", options);
  checkNames(cells.source, cells.names);
  const rows = cells.columns[0]?.length ?? 0;
  if (rows === 0) fail(`${cells.source}: no rows of data`);
  const known = new Set(options.missing?.map((marker) => marker.toLowerCase()));
  const columns = cells.columns.map((texts, k) => infer(cells, cells.names[k]!, texts, options, known));
  return { source: cells.source, rows, columns, lines: cells.lines };
}

type Cell = number | string | boolean | null | undefined;

/**
 * Plain arrays to a table: `tableOf({ height: [1.8, 1.6], city: ["Bern", null] })`. null, undefined and NaN are
 * missing. Throws on columns of unequal length and on infinite numbers; texts are read as `tableFromCells` reads them.
 */
export function tableOf(
  columns: Readonly<Record<string, ArrayLike<Cell>>>,
  options: TableOptions & { readonly source?: string } = {},
): Table {
  requireTableOptions("tableOf: options", options);
  const odd = isNamed(columns) ? Object.values(columns).find((cells) => !isList(cells)) : columns;
  if (!isNamed(columns) || odd !== undefined) {
    fail(
      `tableOf: expected lists of cells by the names of their columns, got ${isNamed(columns) ? `one that is ${shown(odd)}` : shown(columns)}`,
      'tableOf({ age: [31, 27], city: ["Bern", null] })',
    );
  }
  const source = options.source ?? "table";
  const names = Object.keys(columns);
  checkNames(source, names);
  const rows = columns[names[0]!]!.length;
  if (rows === 0) fail(`${source}: no rows of data`);
  const known = new Set(options.missing?.map((marker) => marker.toLowerCase()));
  const read = names.map((name): Column => {
    const cells = Array.from(columns[name]!);
    if (cells.length !== rows) {
      fail(`${source}: column "${name}" has ${cells.length} cells, column "${names[0]}" has ${rows}`);
    }
    if (cells.every((cell) => typeof cell === "number" || cell == null) && options.kinds?.[name] !== "categorical") {
      const at = cells.findIndex((cell) => cell === Infinity || cell === -Infinity);
      if (at >= 0) refuseInfinity({ source, lines: null }, name, String(cells[at]), at);
      return { kind: "numeric", name, values: Float64Array.from(cells, (cell) => (cell == null ? NaN : Number(cell))) };
    }
    const texts = cells.map((cell) => (cell == null ? "" : String(cell).trim()));
    return infer({ source, lines: null }, name, texts, options, known);
  });
  return { source, rows, columns: read, lines: null };
}

/** The column of that name. Throws with the nearest name, or all names, where there is none. */
export function columnOf(table: Table, name: string): Column {
  requireTable("columnOf", table, '"age"');
  requireText("columnOf: name", name, 'columnOf(table, "age")');
  const found = table.columns.find((column) => column.name === name);
  if (found) return found;
  const names = table.columns.map((column) => column.name);
  const near = nearest(name, names);
  return fail(
    `${table.source}: no column "${name}"`,
    near === undefined ? `its columns are ${listed(names)}` : `did you mean "${near}"?`,
  );
}

/** The table without some of its columns. */
export function without(table: Table, names: readonly string[]): Table {
  requireTable("without", table, '["age"]');
  if (!Array.isArray(names)) fail(`without: expected a list of names, got ${shown(names)}`, 'without(table, ["age"])');
  return { ...table, columns: table.columns.filter((column) => !names.includes(column.name)) };
}

/** Whether a cell is missing. */
export function missingAt(column: Column, row: number): boolean {
  requireColumn("missingAt", column, "0");
  requireRow("missingAt", column, row);
  return column.kind === "numeric" ? Number.isNaN(column.values[row]) : column.values[row] === null;
}

/** A cell as text, as a person would write it; null when missing. */
export function textAt(column: Column, row: number): string | null {
  requireColumn("textAt", column, "0");
  requireRow("textAt", column, row);
  if (column.kind === "categorical") return column.values[row]!;
  return Number.isNaN(column.values[row]) ? null : String(column.values[row]);
}

function requireRow(what: string, column: Column, row: number): void {
  if (column.values[row] === undefined) {
    fail(`${what}: column "${column.name}" has rows 0 … ${column.values.length - 1}, got ${shown(row)}`);
  }
}

function requireTableOptions(what: string, options: TableOptions): void {
  requireOptions(what, options, '{ missing: ["-"], kinds: { zip: "categorical" }, decimal: "," }');
  const { missing, kinds } = options;
  if (missing !== undefined && !Array.isArray(missing)) {
    fail(`${what}: missing: expected a list of markers, got ${shown(missing)}`, 'missing: ["-"]');
  }
  if (kinds !== undefined) requireOptions(`${what}: kinds`, kinds, 'kinds: { zip: "categorical" }');
}

function checkNames(source: string, names: readonly string[]): void {
  if (names.length === 0) fail(`${source}: no columns`);
  const seen = new Map<string, number>();
  names.forEach((name, k) => {
    const first = seen.get(name);
    if (first !== undefined) fail(`${source}: columns ${first + 1} and ${k + 1} are both named "${name}"`);
    seen.set(name, k);
  });
}

function infer(
  from: Origin,
  name: string,
  cells: readonly string[],
  options: TableOptions,
  known: Set<string>,
): Column {
  const missing = cells.map((cell) => isMissing(cell) || (known.size > 0 && known.has(cell.toLowerCase())));
  const categorical = (): Column => ({
    kind: "categorical",
    name,
    values: cells.map((cell, row) => (missing[row] ? null : cell)),
  });
  const kind = options.kinds?.[name];
  if (kind === "categorical") return categorical();

  const values = new Float64Array(cells.length).fill(NaN);
  const strays: number[] = [];
  let numbers = 0;
  let fractions = false;
  for (let row = 0; row < cells.length; row++) {
    if (missing[row]) continue;
    const x = numberIn(cells[row]!, options.decimal);
    if (x === undefined) {
      strays.push(row);
      continue;
    }
    values[row] = x;
    numbers++;
    fractions ||= !Number.isInteger(x);
  }
  const share = numbers / (numbers + strays.length);
  if (strays.length > 0) {
    // "2", "3", "4", "5more" are categories; 5.1, 4.9, "abc", 4.7 are numbers and a slip.
    const slip = share >= 0.95 || (share >= 0.5 && (fractions || strays.length === 1));
    if (kind === "numeric" || slip) refuseStray(from, name, cells, strays, numbers);
    if (numbers === 0) refuseCommas(from, name, cells, strays);
    return categorical();
  }
  const infinite = values.findIndex((x) => x === Infinity || x === -Infinity);
  if (infinite >= 0) refuseInfinity(from, name, cells[infinite]!, infinite);
  return { kind: "numeric", name, values };
}

function refuseStray(from: Origin, name: string, cells: readonly string[], strays: number[], numbers: number): never {
  const row = strays[0]!;
  const word = JSON.stringify(cells[row]);
  const others = strays.length > 1 ? ` (and ${strays.length - 1} more in this column)` : "";
  fail(
    `${place(from, row)}, column "${name}": ${word} is not a number${others}, ` +
      `while ${numbers} of ${numbers + strays.length} cells of this column are`,
    `correct it, leave the cell empty, name ${word} as a marker of missing cells, or declare the column categorical${
      from.lines?.[row] === 1 ? "; if this line is the header, say so" : ""
    }`,
  );
}

function refuseCommas(from: Origin, name: string, cells: readonly string[], strays: number[]): void {
  const withComma = /^[+-]?\d+(?:,\d+)+(?:\.\d+)?$/;
  if (!strays.every((row) => withComma.test(cells[row]!))) return;
  const row = strays[0]!;
  fail(
    `${place(from, row)}, column "${name}": "${cells[row]}" is a number with a comma`,
    'read the file with the decimal mark ",", or write 1.5 and 1234 rather than 1,5 and 1,234',
  );
}

function refuseInfinity(from: Origin, name: string, cell: string, row: number): never {
  fail(
    `${place(from, row)}, column "${name}": "${cell}" is not a finite number`,
    "a model cannot learn from an infinite value: correct it, or leave the cell empty to mark it as missing",
  );
}
