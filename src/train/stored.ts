/**
 * Number types that files of other tools hold, and how each becomes one that programs have: half precision f32, exactly;
 * signed integers i32, unsigned ones u32, and those of 64 bits only where every number fits. What is read takes at most
 * four times the bytes it had.
 */
import type { Arrays, DType } from "../ir/dtype.ts";
import { halves } from "../ir/half.ts";
import { type Shape, size } from "../ir/shape.ts";
import { Value } from "../ir/value.ts";

export type Stored = DType | "f16" | "bf16" | "i8" | "u8" | "i16" | "u16" | "i64" | "u64";

/** Says what is wrong with a tensor's numbers, and throws. */
type Bad = (reason: string) => never;

type Row<D extends DType = DType> = {
  readonly bytes: number;
  readonly dtype: D;
  /** From bytes of their own, little-endian as the hosts that Node and browsers run on. */
  readonly read: (bytes: ArrayBuffer, bad: Bad) => Arrays[D];
};

const row = <D extends DType>(bytes: number, dtype: D, read: Row<D>["read"]): Row<D> => ({ bytes, dtype, read });

export const stored: { readonly [S in Stored]: Row } = {
  f32: row(4, "f32", (b) => new Float32Array(b)),
  f64: row(8, "f64", (b) => new Float64Array(b)),
  f16: row(2, "f32", (b) => Float32Array.from(new Uint16Array(b), halves.f16.from)),
  bf16: row(2, "f32", (b) => fromBrain(new Uint16Array(b))),
  i8: row(1, "i32", (b) => Int32Array.from(new Int8Array(b))),
  i16: row(2, "i32", (b) => Int32Array.from(new Int16Array(b))),
  i32: row(4, "i32", (b) => new Int32Array(b)),
  i64: row(8, "i32", (b, bad) => {
    const lows = lowWords(b, bad, "i32", (low, high) => high === low >> 31);
    return new Int32Array(lows.buffer);
  }),
  u8: row(1, "u32", (b) => Uint32Array.from(new Uint8Array(b))),
  u16: row(2, "u32", (b) => Uint32Array.from(new Uint16Array(b))),
  u32: row(4, "u32", (b) => new Uint32Array(b)),
  u64: row(8, "u32", (b, bad) => lowWords(b, bad, "u32", (_, high) => high === 0)),
  bool: row(1, "bool", (b, bad) => {
    const bytes = new Uint8Array(b);
    const at = bytes.findIndex((x) => x > 1);
    return at < 0 ? bytes : bad(`it is bool and holds other bytes than 0 and 1, such as ${bytes[at]} at element ${at}`);
  }),
};

/** Bytes of `type[shape]`. As in NumPy, a shape is impossible where its axes that are not 0 have a product beyond numbers. */
export function storedBytes(type: Stored, shape: Shape, bad: Bad): number {
  const bytes = size(shape.filter((n) => n > 0)) * stored[type].bytes;
  if (bytes > Number.MAX_SAFE_INTEGER) bad(`the shape ${shapeText(shape)} is impossible: no array is as large`);
  return shape.includes(0) ? 0 : bytes;
}

/** A tensor from its bytes, `storedBytes` of them, little-endian and row-major. The bytes are copied. */
export function readStored(type: Stored, shape: Shape, bytes: Uint8Array, bad: Bad): Value {
  const { dtype, read } = stored[type];
  return new Value(dtype, shape, read(new Uint8Array(bytes).buffer, bad)); // a Buffer's slice would be no copy
}

/** A shape as errors show it: a file may claim one of a million axes. */
export const shapeText = (shape: Shape): string =>
  shape.length > 8 ? `[${shape.slice(0, 8)}, … ${shape.length} axes]` : `[${shape}]`;

/** The lower halves of 64-bit integers whose upper halves add nothing. */
function lowWords(
  bytes: ArrayBuffer,
  bad: Bad,
  dtype: "i32" | "u32",
  fits: (low: number, high: number) => boolean,
): Uint32Array<ArrayBuffer> {
  const words = new Int32Array(bytes);
  const out = new Uint32Array(words.length / 2);
  for (let k = 0; k < out.length; k++) {
    const low = words[2 * k]!;
    if (!fits(low, words[2 * k + 1]!)) {
      const wide = dtype === "i32" ? new BigInt64Array(bytes)[k] : new BigUint64Array(bytes)[k];
      bad(`it is ${dtype[0]}64 and holds ${wide} at element ${k}, which does not fit into ${dtype}`);
    }
    out[k] = low;
  }
  return out;
}

/** bfloat16 is the upper half of an f32. */
function fromBrain(halves: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(halves, (h) => h << 16).buffer);
}
