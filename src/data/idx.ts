/**
 * IDX, the format of MNIST and its relatives: two zero bytes, a type code, the number of axes, the sizes as big-endian
 * u32, then the elements, big-endian. Nothing is allocated before the sizes are checked against the bytes present.
 */
import { fail, requireBytes, shown } from "../ir/fail.ts";
import type { Shape } from "../ir/shape.ts";
import { Value } from "../ir/value.ts";
import { isList, isNamed, requireOptions } from "./given.ts";

export type IdxType = "u8" | "i8" | "i16" | "i32" | "f32" | "f64";
type Elements = Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array;

/** The elements in their own type; u8 is a view of the bytes, not a copy. */
export type Idx = { readonly source: string; readonly type: IdxType; readonly shape: Shape; readonly data: Elements };

type Reader = {
  readonly type: IdxType;
  readonly bytes: number;
  readonly read: (view: DataView, at: number, n: number) => Elements;
};

const each = <A extends Elements>(out: A, get: (k: number) => number): A => {
  for (let k = 0; k < out.length; k++) out[k] = get(k);
  return out;
};

const readers: Readonly<Record<number, Reader>> = {
  0x08: { type: "u8", bytes: 1, read: (v, at, n) => new Uint8Array(v.buffer, v.byteOffset + at, n) },
  0x09: { type: "i8", bytes: 1, read: (v, at, n) => new Int8Array(v.buffer, v.byteOffset + at, n) },
  0x0b: { type: "i16", bytes: 2, read: (v, at, n) => each(new Int16Array(n), (k) => v.getInt16(at + 2 * k)) },
  0x0c: { type: "i32", bytes: 4, read: (v, at, n) => each(new Int32Array(n), (k) => v.getInt32(at + 4 * k)) },
  0x0d: { type: "f32", bytes: 4, read: (v, at, n) => each(new Float32Array(n), (k) => v.getFloat32(at + 4 * k)) },
  0x0e: { type: "f64", bytes: 8, read: (v, at, n) => each(new Float64Array(n), (k) => v.getFloat64(at + 8 * k)) },
};

/**
 * Read IDX bytes, already unpacked. Throws, naming `source`, when they are not IDX, end too early, or go on after the
 * last element.
 */
export function parseIdx(bytes: Uint8Array, source = "idx"): Idx {
  requireBytes("parseIdx", bytes);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    fail(`${source}: these bytes are gzip, not IDX`, "unpack them first, or read the file by its path");
  }
  if (bytes.length < 4) fail(`${source}: ${bytes.length} bytes are too few for an IDX header`);
  const reader = readers[bytes[2]!];
  if (bytes[0] !== 0 || bytes[1] !== 0 || !reader) {
    const magic = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    fail(
      `${source}: not an IDX file: it starts with 0x${magic}`,
      "images start with 0x00000803, labels with 0x00000801",
    );
  }
  const rank = bytes[3]!;
  const start = 4 + 4 * rank;
  if (rank === 0 || bytes.length < start) {
    fail(`${source}: the IDX header announces ${rank} axes, and the file has ${bytes.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const n = shape.reduce((a, b) => a * b, 1); // past 2⁵³ inexact, and then far from what any file holds
  const present = bytes.length - start;
  if (n * reader.bytes !== present) {
    const short = n * reader.bytes > present;
    fail(
      `${source}: ${reader.type}[${shape}] takes ${n * reader.bytes} bytes after the header, the file has ${present}`,
      short ? "the file is cut off, or its header is damaged" : "the header is damaged, or something was appended",
    );
  }
  return { source, type: reader.type, shape, data: reader.read(view, start, n) };
}

function requireIdx(what: string, idx: unknown): void {
  if (isNamed(idx) && Array.isArray(idx.shape) && isList(idx.data)) return;
  fail(`${what}: expected what parseIdx gives, got ${shown(idx)}`, `${what}(parseIdx(readFileSync(path)))`);
}

/**
 * Elements as f32 of the same shape, times `scale`: 1/255 unless given, so that bytes become 0 … 1.
 * `idxImages(idx): f32[n, h, w]`.
 */
export function idxImages(idx: Idx, options: { readonly scale?: number } = {}): Value<"f32"> {
  requireIdx("idxImages", idx);
  requireOptions("idxImages", options, "idxImages(idx, { scale: 1 / 255 })");
  const { scale = 1 / 255 } = options;
  if (!Number.isFinite(scale)) fail(`idxImages: scale: expected a number, got ${shown(scale)}`);
  return new Value(
    "f32",
    idx.shape,
    Float32Array.from(idx.data, (x) => x * scale),
  );
}

/** Class numbers, `i32[n]`. Throws when there is more than one axis, or a number is not a whole one from 0. */
export function idxLabels(idx: Idx): Value<"i32"> {
  requireIdx("idxLabels", idx);
  if (idx.shape.length !== 1) fail(`${idx.source}: labels are one axis, this is ${idx.type}[${idx.shape}]`);
  const wrong = idx.data.findIndex((x: number) => !(Number.isInteger(x) && x >= 0));
  if (wrong >= 0) fail(`${idx.source}: label ${wrong} is ${idx.data[wrong]}, not a class number`);
  return new Value("i32", idx.shape, Int32Array.from(idx.data));
}
