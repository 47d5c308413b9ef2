/**
 * CSV text to a table. Quoting and line ends are csv-parse's business (RFC 4180, and what spreadsheets make of it);
 * here are the two guesses a reader has to make, delimiter and header, and the errors.
 */
import { CsvError, type Options, parse } from "csv-parse/sync";
import { DownhillError, fail, shown } from "../ir/fail.ts";
import { requireOptions } from "./given.ts";
import { isMissing, numberIn, type Table, type TableOptions, tableFromCells } from "./table.ts";

export type CsvOptions = TableOptions & {
  /** What messages call it: a path. */
  readonly source?: string;
  /** One character; guessed among comma, semicolon and tab unless given. */
  readonly delimiter?: string;
  /**
   * Whether the first row holds the names. Unless given: it does when none of its cells is a number or a marker of a
   * missing cell, and either a column below one is a number or all cells differ. Without names, columns are column1,
   * column2, …
   */
  readonly header?: boolean;
};

/** Rows looked at before the delimiter and the header are decided. */
const sampled = 50;

/**
 * A table from CSV text, or from its bytes (UTF-8, or UTF-16 with a byte order mark). Cells are trimmed; empty lines
 * are skipped. Throws a DownhillError naming file, line and column: nothing in it, a header alone, rows of another
 * length, a quote that does not close, duplicate names, binary content, and what `tableFromCells` refuses.
 */
export function parseCsv(input: string | Uint8Array, options: CsvOptions = {}): Table {
  if (typeof input !== "string" && !(input instanceof Uint8Array)) {
    fail(`parseCsv: expected text or the bytes of a file, got ${shown(input)}`, "parseCsv(readFileSync(path))");
  }
  requireOptions("parseCsv", options, 'parseCsv(text, { delimiter: ";" })');
  const source = options.source ?? "csv";
  const text = typeof input === "string" ? input : decode(input, source);
  const nul = text.indexOf("\0");
  if (nul >= 0) {
    fail(`${source}: line ${lineAt(text, nul)} holds a NUL character`, "this is not a text file; export it as CSV");
  }
  if (text.trim() === "") fail(`${source}: the file is empty`);
  if (options.delimiter !== undefined && (typeof options.delimiter !== "string" || options.delimiter.length !== 1)) {
    fail(`delimiter: expected one character, got ${JSON.stringify(options.delimiter)}`);
  }
  const delimiter = options.delimiter ?? guessDelimiter(text);
  const sample = records(text, delimiter, source, sampled);
  const first = sample[0]!;
  const header = options.header ?? isHeader(first, sample.slice(1), options.decimal);
  const names = header ? first.map((name, k) => name || `column${k + 1}`) : first.map((_, k) => `column${k + 1}`);
  return tableFromCells({ source, names, ...columns(text, delimiter, source, first, header) }, options);
}

const settings = (delimiter: string): Options => ({
  delimiter,
  bom: true,
  relax_column_count: true, // so that the error is ours
  skip_empty_lines: true,
  trim: true,
});

function records(text: string, delimiter: string, source: string, to: number): string[][] {
  try {
    return parse(text, { ...settings(delimiter), to });
  } catch (error) {
    throw explained(error, source);
  }
}

/** All cells by column, and the line of each row. */
function columns(text: string, delimiter: string, source: string, first: string[], header: boolean) {
  const width = first.length;
  const cells: string[][] = first.map(() => []);
  const lines: number[] = [];
  let ragged: { line: number; found: number } | undefined;
  let longerByOne = true;
  const add = (record: string[], { lines: line, records }: { lines: number; records: number }) => {
    if (header && records === 1) return null;
    longerByOne &&= record.length === width + 1;
    if (record.length !== width) ragged ??= { line, found: record.length };
    else {
      lines.push(line);
      for (let k = 0; k < width; k++) cells[k]!.push(record[k]!);
    }
    return null; // nothing is kept by the parser
  };
  try {
    parse(text, { ...settings(delimiter), on_record: add });
  } catch (error) {
    throw explained(error, source);
  }
  if (ragged) {
    const before = header ? "the header" : "the first row";
    fail(
      `${source}: line ${ragged.line} has ${count(ragged.found)}, ${before} has ${count(width)}`,
      header && longerByOne
        ? "every row has one cell more than the header: give the first column, perhaps row names, a name"
        : "a cell that holds the delimiter needs double quotes around it",
    );
  }
  if (lines.length === 0) {
    fail(`${source}: there is a header, but no rows of data`, "if the first line is data, say that there is no header");
  }
  return { columns: cells, lines: Int32Array.from(lines) };
}

const count = (n: number): string => (n === 1 ? "1 cell" : `${n} cells`);

/**
 * The first of comma, semicolon and tab that splits the first row, and at least half of the others alike. A header may
 * hold semicolons between its commas, so the comma goes first.
 */
function guessDelimiter(text: string): string {
  for (const delimiter of [",", ";", "\t"]) {
    let sample: string[][];
    try {
      sample = parse(text, { ...settings(delimiter), to: sampled });
    } catch (error) {
      if (!(error instanceof CsvError)) throw error;
      continue; // quotes that make no sense with this delimiter
    }
    const width = sample[0]?.length ?? 0;
    const alike = sample.filter((record) => record.length === width).length;
    if (width > 1 && alike > sample.length / 2) return delimiter;
  }
  return ",";
}

function isHeader(first: readonly string[], rest: readonly string[][], decimal: "." | "," = "."): boolean {
  const isName = (cell: string) => cell === "" || (!isMissing(cell) && numberIn(cell, decimal) === undefined);
  if (!first.every(isName) || first.every((cell) => cell === "")) return false;
  const overNumbers = first.some((_, k) => {
    const below = rest.map((record) => record[k] ?? "").filter((cell) => !isMissing(cell));
    return below.some((cell) => numberIn(cell, decimal) !== undefined);
  });
  return overNumbers || new Set(first).size === first.length;
}

function decode(bytes: Uint8Array, source: string): string {
  const starts = (...magic: number[]) => magic.every((byte, k) => bytes[k] === byte);
  if (starts(0x1f, 0x8b)) fail(`${source}: these bytes are gzip`, "unpack them first, or read the file by its path");
  if (starts(0x50, 0x4b, 0x03, 0x04)) {
    fail(`${source}: this is a zip archive or an Excel workbook, not a CSV file`, "export the sheet as CSV");
  }
  if (starts(0xff, 0xfe)) return new TextDecoder("utf-16le").decode(bytes);
  if (starts(0xfe, 0xff)) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const lossy = new TextDecoder("utf-8").decode(bytes);
    if (lossy.includes("\0")) fail(`${source}: this is binary data, not text`, "export it as CSV");
    return fail(
      `${source}: line ${lineAt(lossy, lossy.indexOf("\ufffd"))} is not UTF-8 text`,
      "save the file with the encoding UTF-8",
    );
  }
}

function lineAt(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < index; at = text.indexOf("\n", at + 1)) line++;
  return line;
}

/** csv-parse's complaint in our words; anything else as it is. */
function explained(error: unknown, source: string): unknown {
  if (!(error instanceof CsvError)) return error;
  const line = typeof error.lines === "number" ? `line ${error.lines}` : "the text";
  const cell = typeof error.column === "number" ? `, cell ${error.column + 1}` : "";
  const why = {
    CSV_QUOTE_NOT_CLOSED: "a double quote opens here and never closes",
    INVALID_OPENING_QUOTE: "a double quote stands in the middle of a cell",
    CSV_INVALID_CLOSING_QUOTE: "text follows the double quote that closes a cell",
  }[error.code as string];
  const hint = 'a cell with quotes in it is written "like ""this"""';
  return new DownhillError(`${source}: ${line}${cell}: ${why ?? error.message}\n  hint: ${hint}`);
}
