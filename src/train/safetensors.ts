/**
 * The safetensors format, bytes in and bytes out: named tensors behind a JSON header, nothing that could run.
 *
 *   u64 n │ header: n bytes of JSON, padded with spaces │ the tensors' bytes, little-endian, row-major, without gaps
 *   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …, "__metadata__": {"key": "text"}}
 *
 * A reader meets files of strangers: every number in the header is checked before it is used, and what is allocated is
 * bounded by the file's own length. Typed arrays have the host's byte order; those that Node and browsers run on are
 * little-endian.  Source: https://github.com/huggingface/safetensors, "Format"; limits as in its Rust implementation.
 */
import { type DType, dtypes } from "../ir/dtype.ts";
import { DownhillError, fail, requireBytes } from "../ir/fail.ts";
import type { Value } from "../ir/value.ts";
import { readStored, type Stored, shapeText, stored, storedBytes } from "./stored.ts";

export type Tensors = ReadonlyMap<string, Value>;
export type Metadata = Readonly<Record<string, string>>;
export type Safetensors = { readonly tensors: Tensors; readonly metadata: Metadata };

/** The longest header that is read or written, in bytes. */
const longestHeader = 100_000_000;

const names: Record<DType, string> = { f32: "F32", f64: "F64", i32: "I32", u32: "U32", bool: "BOOL" };

/** The format's names are ours in capitals. Those of 8 bits or fewer per float have no reader. */
const known = new Map((Object.keys(stored) as Stored[]).map((type) => [type.toUpperCase(), type]));

/**
 * Tensors as a file. The order is by element size, largest first, then as given, so that every tensor is aligned; the
 * same tensors and metadata give the same bytes. Throws at a name that occurs twice or is reserved.
 */
export function writeSafetensors(
  tensors: Iterable<readonly [string, Value]>,
  metadata: Metadata = {},
): Uint8Array<ArrayBuffer> {
  const list = [...tensors].sort(([, a], [, b]) => dtypes[b.dtype].bytes - dtypes[a.dtype].bytes);
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  const seen = new Set<string>(["__metadata__"]);
  let at = 0;
  for (const [name, { dtype, shape, data }] of list) {
    if (seen.has(name))
      fail(`safetensors: the name "${name}" ${name === "__metadata__" ? "is reserved" : "occurs twice"}`);
    seen.add(name);
    header.push([name, { dtype: names[dtype], shape, data_offsets: [at, at + data.byteLength] }]);
    at += data.byteLength;
  }
  const entries = header.map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  if (padded > longestHeader)
    fail(`safetensors: the names and metadata take ${json.length} bytes, more than readers accept`);
  const out = new Uint8Array(8 + padded + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(padded), true);
  out.fill(0x20, 8, 8 + padded);
  out.set(json, 8);
  at = 8 + padded;
  for (const [, { data }] of list) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return out;
}

/**
 * What a file holds. Throws a DownhillError, with `source` as the file's name and `remedy` as the hint, where anything
 * is not as the format says.
 */
export function readSafetensors(file: Uint8Array, source = "safetensors", remedy?: string): Safetensors {
  requireBytes("readSafetensors", file);
  const bad = (reason: string): never => fail(`${source}: not a readable safetensors file: ${reason}`, remedy);
  if (file.length < 8) bad(`it has ${file.length} bytes, the format begins with 8`);
  const n = Number(new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true));
  if (n > longestHeader) bad(`its header claims ${n} bytes, the format allows ${longestHeader}`);
  if (8 + n > file.length) bad(`its header claims ${n} bytes, ${file.length - 8} follow: the file is cut off`);
  const header = parseHeader(file.subarray(8, 8 + n), bad);
  const body = file.subarray(8 + n);

  let metadata: Metadata = {};
  const entries: { name: string; type: Stored; shape: number[]; from: number; to: number }[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") {
      if (!isObject(entry) || !Object.values(entry).every((v) => typeof v === "string"))
        bad("its metadata are not texts");
      metadata = entry as Metadata;
      continue;
    }
    const what = `tensor ${quoted(name)}`;
    if (!isObject(entry)) return bad(`${what} has no description`);
    const { dtype, shape, data_offsets: offsets } = entry;
    if (typeof dtype !== "string") return bad(`${what} has no dtype`);
    const type = known.get(dtype);
    if (!type) return bad(`${what} has dtype ${quoted(dtype)}; known: ${[...known.keys()].join(", ")}`);
    if (!isCounts(shape)) return bad(`${what} has no shape of whole numbers`);
    if (!isCounts(offsets) || offsets.length !== 2) return bad(`${what} has no two data offsets`);
    const [from, to] = offsets as [number, number];
    if (from > to || to > body.length) bad(`${what} lies at ${from} … ${to}, the data have ${body.length} bytes`);
    const bytes = storedBytes(type, shape, (reason) => bad(`${what}: ${reason}`));
    if (bytes !== to - from) bad(`${what} is ${dtype}${shapeText(shape)}, ${bytes} bytes, but has ${to - from}`);
    entries.push({ name, type, shape, from, to });
  }
  let end = 0;
  for (const { name, from, to } of entries.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    if (from !== end)
      bad(`tensor ${quoted(name)} ${from < end ? "overlaps another" : "follows a gap"} at byte ${from}`);
    end = to;
  }
  if (end !== body.length) bad(`${body.length - end} bytes at the end belong to no tensor`);

  const tensors = new Map<string, Value>();
  for (const { name, type, shape, from, to } of entries) {
    const wrong = (reason: string) => bad(`tensor ${quoted(name)}: ${reason}`);
    tensors.set(name, readStored(type, shape, body.subarray(from, to), wrong));
  }
  return { tensors, metadata };
}

function parseHeader(bytes: Uint8Array, bad: (reason: string) => never): Record<string, unknown> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const header: unknown = JSON.parse(text);
    if (!isObject(header)) return bad("its header is not an object");
    const twice = duplicateKey(text);
    if (twice !== undefined) bad(`its header names ${quoted(twice)} twice`);
    return header;
  } catch (error) {
    if (error instanceof DownhillError) throw error;
    return bad(`its header is not JSON (${error instanceof Error ? error.message : error})`);
  }
}

/** A key that one object of a valid JSON text has twice: JSON.parse would keep the last and say nothing. */
function duplicateKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (const [token] of text.matchAll(/"(?:[^"\\]+|\\.)*"\s*:?|[[\]{}]/g)) {
    if (token === "{" || token === "[") open.push(new Set());
    else if (token === "}" || token === "]") open.pop();
    else if (token.endsWith(":")) {
      const key = JSON.parse(token.slice(0, -1)) as string;
      const known = open.at(-1)!;
      if (known.has(key)) return key;
      known.add(key);
    }
  }
  return undefined;
}

/** A name as errors show it: a stranger's may be of any length. */
const quoted = (name: string): string => JSON.stringify(name.slice(0, 200));

const isObject = (x: unknown): x is Record<string, unknown> => typeof x === "object" && x !== null && !Array.isArray(x);

const isCounts = (x: unknown): x is number[] => Array.isArray(x) && x.every((n) => Number.isSafeInteger(n) && n >= 0);
