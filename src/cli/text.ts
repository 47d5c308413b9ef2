/** Numbers and names as a person reads them. */
import { basename } from "node:path";

/** 4601 → "4,601" */
export const grouped = (n: number): string => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");

/** "1 row", "4,601 rows" */
export const counted = (n: number, one: string, many = `${one}s`): string => `${grouped(n)} ${n === 1 ? one : many}`;

/** Four significant digits, without an exponent where it can be avoided. */
export function significant(x: number, digits = 4): string {
  if (!Number.isFinite(x) || x === 0) return String(x);
  const size = Math.abs(x);
  if (size >= 1e7 || size < 1e-4) return x.toExponential(digits - 1);
  return size >= 10 ** (digits - 1) ? grouped(x) : x.toPrecision(digits);
}

/** A learning rate: "0.003", "2.1e-5" */
export const brief = (x: number): string => String(Number(x.toPrecision(2)));

export function bytes(n: number): string {
  if (n < 1000) return `${n} bytes`;
  return n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`;
}

/** Seconds as "0.8 s", "42 s", "3 min 5 s", "2 h 10 min" */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** data/spambase.csv.gz → spambase */
export const stem = (path: string): string =>
  basename(path)
    .replace(/\.gz$/i, "")
    .replace(/\.[^.]+$/, "");

/** At most `width` characters, the last of them "…" where something is left out. */
export const shortened = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`;

/** A word for a shell: as it is where that is safe, else in single quotes. */
export const shellWord = (word: string): string =>
  /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** Text filled into lines of at most `width` characters; all but the first have an indent before that. */
export function wrapped(text: string, width: number, indent: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join(`\n${indent}`);
}

/**
 * Lines that take at most `width` columns of a terminal, of a text that may be in any script or in none: cut after a space
 * where there is one, else anywhere. What would move a terminal's cursor is shown as a space or as �.
 */
export function folded(text: string, width: number): string[] {
  const lines: string[] = [];
  let [line, taken, spaceAt] = ["", 0, 0];
  for (const character of text.replaceAll("\t", "  ").replace(/\p{Cc}/gu, "\ufffd")) {
    const columns = columnsOf(character);
    if (taken + columns > width && line !== "") {
      const at = spaceAt > 0 ? spaceAt : line.length;
      lines.push(line.slice(0, at).trimEnd());
      line = line.slice(at);
      taken = [...line].reduce((sum, c) => sum + columnsOf(c), 0);
      spaceAt = 0;
    }
    line += character;
    taken += columns;
    if (character === " ") spaceAt = line.length;
  }
  return [...lines, line];
}

/** Two for East Asian scripts and emoji, none for marks that stand on another character. */
const columnsOf = (character: string): number => (mark.test(character) ? 0 : wide.test(character) ? 2 : 1);
const mark = /\p{Mn}|\p{Me}|\p{Cf}/u;
const wide =
  /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}|[\u3000-\u303f\uff00-\uff60]/u;

/** Rows of cells under each other: the first column to the left, the others to the right. */
export function columns(rows: readonly (readonly string[])[], gap = "  "): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, k) => (widths[k] = Math.max(widths[k] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, k) => (k === 0 ? cell.padEnd(widths[k]!) : cell.padStart(widths[k]!)))
      .join(gap)
      .trimEnd(),
  );
}
