/**
 * The number types a program is made of. Every table over this union is a Record, so the type checker names each place
 * that has to say something about a new one.
 */
export type DType = "f32" | "f64" | "i32" | "u32" | "bool";
export type Float = "f32" | "f64";

type Row<A> = {
  readonly bytes: number;
  readonly float: boolean;
  /** A zeroed host array of n elements, or a view of existing bytes. */
  readonly array: { new (n: number): A; new (buffer: ArrayBuffer, at?: number, n?: number): A };
};

/** `reduce` in words that all arrays share: those of their own differ, so that it could not be called where any may be. */
type Reducible = {
  reduce(f: (sum: number, x: number, k: number) => number, initial?: number): number;
  reduce<T>(f: (sum: T, x: number, k: number) => T, initial: T): T;
};

/** The host array of each dtype; a bool is one byte, 0 or 1. */
export type Arrays = {
  f32: Float32Array<ArrayBuffer> & Reducible;
  f64: Float64Array<ArrayBuffer> & Reducible;
  i32: Int32Array<ArrayBuffer> & Reducible;
  u32: Uint32Array<ArrayBuffer> & Reducible;
  bool: Uint8Array<ArrayBuffer> & Reducible;
};

export const dtypes: { readonly [D in DType]: Row<Arrays[D]> } = {
  f32: { bytes: 4, float: true, array: Float32Array },
  f64: { bytes: 8, float: true, array: Float64Array },
  i32: { bytes: 4, float: false, array: Int32Array },
  u32: { bytes: 4, float: false, array: Uint32Array },
  bool: { bytes: 1, float: false, array: Uint8Array },
};

/** The floats of 16 bits that an f32 can be rounded to: bfloat16 and IEEE 754 binary16 (half.ts). */
export type Half = "bf16" | "f16";
/** How an element lies in memory: as its dtype, or an f32 that has been rounded to a float of 16 bits in two bytes. */
export type Storage = DType | Half;

export const storages: { readonly [S in Storage]: Pick<Row<unknown>, "bytes" | "array"> } = {
  ...dtypes,
  bf16: { bytes: 2, array: Uint16Array },
  f16: { bytes: 2, array: Uint16Array },
};

export const isFloat = (d: DType): d is Float => dtypes[d].float;
