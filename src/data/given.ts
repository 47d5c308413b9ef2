/**
 * What plain JavaScript hands over unseen by types, looked at where it enters: each mistake with the call as it should
 * be.
 */
import { fail, shown } from "../ir/fail.ts";
import type { Column, Table } from "./table.ts";

/** Anything by name. */
type Named = Readonly<Record<string, unknown>>;
export const isNamed = (x: unknown): x is Named => typeof x === "object" && x !== null && !Array.isArray(x);

/** What a list of numbers or names may be; a text, which has a length too, is none. */
export const isList = (x: unknown): x is ArrayLike<unknown> =>
  Array.isArray(x) || (ArrayBuffer.isView(x) && "length" in x);

const call = (what: string, args: string): string => `${what.split(":")[0]}(${args})`;

/** Throws unless it is a table; `more` are the arguments after it, for the hint. */
export function requireTable(what: string, table: unknown, more = ""): asserts table is Table {
  if (isNamed(table) && Array.isArray(table.columns) && typeof table.rows === "number") return;
  const made =
    typeof table === "string" ? "parseCsv(readFileSync(path))" : 'tableOf({ age: [31, 27], city: ["Bern", null] })';
  fail(`${what}: expected a table, got ${shown(table)}`, call(what, `${made}${more && `, ${more}`}`));
}

export function requireColumn(what: string, column: unknown, more = ""): asserts column is Column {
  const { kind, values } = (column ?? {}) as Partial<Column>;
  if ((kind === "numeric" || kind === "categorical") && isList(values)) return;
  fail(
    `${what}: expected a column of a table, got ${shown(column)}`,
    call(what, `columnOf(table, "age")${more && `, ${more}`}`),
  );
}

/** Throws unless it is text; `hint` is the call as it should be. */
export function requireText(what: string, text: unknown, hint?: string): asserts text is string {
  if (typeof text !== "string") fail(`${what}: expected a text, got ${shown(text)}`, hint);
}

/** Throws unless options are an object; left out they are one already, where they may be. */
export function requireOptions(what: string, options: unknown, hint: string): void {
  if (!isNamed(options)) fail(`${what}: expected an object of options, got ${shown(options)}`, hint);
}

/** Throws unless it is how many rows there are. */
export function requireCount(what: string, n: unknown, hint: string): void {
  if (Number.isSafeInteger(n) && (n as number) >= 0) return;
  fail(`${what}: expected how many rows there are, a whole number, got ${shown(n)}`, hint);
}

/** Throws unless it is a list of tokens: also numbers in a list, and an Int32Array. */
export function requireTokens(tokens: unknown): void {
  if (!isList(tokens)) fail(`decode: expected a list of tokens, got ${shown(tokens)}`, "decode(encode(text))");
}
