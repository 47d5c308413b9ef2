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
import { DownhillError, fail } from "../ir/fail.ts";
import { size } from "../ir/shape.ts";
import { Value } from "../ir/value.ts";

export type Tensors = ReadonlyMap<string, Value>;
export type Metadata = Readonly<Record<string, string>>;
export type Safetensors = { readonly tensors: Tensors; readonly metadata: Metadata };

/** The longest header that is read or written, in bytes. */
const longestHeader = 100_000_000;

const names: Record<DType, string> = { f32: "F32", f64: "F64", i32: "I32", u32: "U32", bool: "BOOL" };

/** How each stored type is read. Half precision has no dtype of its own and becomes f32, exactly. */
const readers: Record<string, { bytes: number; read: (bytes: ArrayBuffer, shape: number[]) => Value }> = {
  ...Object.fromEntries(
    (Object.keys(names) as DType[]).map((d) => {
      const { bytes, array } = dtypes[d];
      return [names[d], { bytes, read: (b: ArrayBuffer, shape: number[]) => new Value(d, shape, new array(b)) }];
    }),
  ),
  F16: { bytes: 2, read: (b, shape) => new Value("f32", shape, Float32Array.from(new Uint16Array(b), fromHalf)) },
  BF16: { bytes: 2, read: (b, shape) => new Value("f32", shape, fromBrain(new Uint16Array(b))) },
};

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
  const bad = (reason: string): never => fail(`${source}: not a readable safetensors file: ${reason}`, remedy);
  if (file.length < 8) bad(`it has ${file.length} bytes, the format begins with 8`);
  const n = Number(new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true));
  if (n > longestHeader) bad(`its header claims ${n} bytes, the format allows ${longestHeader}`);
  if (8 + n > file.length) bad(`its header claims ${n} bytes, ${file.length - 8} follow: the file is cut off`);
  const header = parseHeader(file.subarray(8, 8 + n), bad);
  const body = file.subarray(8 + n);

  let metadata: Metadata = {};
  const entries: { name: string; dtype: string; shape: number[]; from: number; to: number }[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") {
      if (!isObject(entry) || !Object.values(entry).every((v) => typeof v === "string"))
        bad("its metadata are not texts");
      metadata = entry as Metadata;
      continue;
    }
    const what = `tensor ${JSON.stringify(name.slice(0, 200))}`;
    if (!isObject(entry)) return bad(`${what} has no description`);
    const { dtype, shape, data_offsets: offsets } = entry;
    const reader = typeof dtype === "string" && Object.hasOwn(readers, dtype) ? readers[dtype] : undefined;
    if (!reader)
      return bad(`${what} has dtype ${JSON.stringify(dtype)?.slice(0, 40)}; known: ${Object.keys(readers).join(", ")}`);
    if (!isCounts(shape)) return bad(`${what} has no shape of whole numbers`);
    if (!isCounts(offsets) || offsets.length !== 2) return bad(`${what} has no two data offsets`);
    const [from, to] = offsets as [number, number];
    if (from > to || to > body.length) bad(`${what} lies at ${from} … ${to}, the data have ${body.length} bytes`);
    const bytes = size(shape) * reader.bytes;
    if (bytes !== to - from) bad(`${what} is ${dtype}[${shape}], ${bytes} bytes, but has ${to - from}`);
    entries.push({ name, dtype: dtype as string, shape, from, to });
  }
  let end = 0;
  for (const { name, from, to } of entries.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    if (from !== end)
      bad(`tensor ${JSON.stringify(name)} ${from < end ? "overlaps another" : "follows a gap"} at byte ${from}`);
    end = to;
  }
  if (end !== body.length) bad(`${body.length - end} bytes at the end belong to no tensor`);

  const tensors = new Map<string, Value>();
  for (const { name, dtype, shape, from, to } of entries) {
    const v = readers[dtype]!.read(new Uint8Array(body.subarray(from, to)).buffer, shape); // a copy; a Buffer's slice is none
    if (v.dtype === "bool" && v.data.some((x) => x > 1))
      bad(`tensor ${JSON.stringify(name)} is BOOL and holds other bytes than 0 and 1`);
    tensors.set(name, v);
  }
  return { tensors, metadata };
}

function parseHeader(bytes: Uint8Array, bad: (reason: string) => never): Record<string, unknown> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const header: unknown = JSON.parse(text);
    if (!isObject(header)) return bad("its header is not an object");
    const twice = duplicateKey(text);
    if (twice !== undefined) bad(`its header names ${JSON.stringify(twice.slice(0, 200))} twice`);
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

const isObject = (x: unknown): x is Record<string, unknown> => typeof x === "object" && x !== null && !Array.isArray(x);

const isCounts = (x: unknown): x is number[] => Array.isArray(x) && x.every((n) => Number.isSafeInteger(n) && n >= 0);

/** IEEE 754 binary16. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** bfloat16 is the upper half of an f32. */
function fromBrain(halves: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(halves, (h) => h << 16).buffer);
}
