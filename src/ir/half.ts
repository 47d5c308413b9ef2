/**
 * The two floats of 16 bits: how a number is rounded to one, and the two bytes that hold it. Programs compute with neither;
 * they round factors to them and keep those in two bytes (compile/precision.ts).
 *
 * bf16  bfloat16: f32's exponent, 8 significant bits, up to 3.39e38
 * f16   IEEE 754 binary16: 11 significant bits, up to 65504; spacing 2⁻²⁴ below 2⁻¹⁴
 */
import type { Half } from "./dtype.ts";

type Row = {
  /** The one nearest to the f32 nearest to x; ties go to the even one, what lies beyond the largest to an infinity. */
  readonly nearest: (x: number) => number;
  /** The two bytes of such a number, and back. */
  readonly bits: (x: number) => number;
  readonly from: (bits: number) => number;
};

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);
const wordOf = (x: number): number => {
  float[0] = x;
  return word[0]!;
};
const floatOf = (w: number): number => {
  word[0] = w;
  return float[0]!;
};

export const halves: { readonly [H in Half]: Row } = {
  bf16: {
    nearest(x) {
      if (Number.isNaN(x)) return x;
      const w = wordOf(x);
      return floatOf((w + 0x7fff + ((w >>> 16) & 1)) & 0xffff0000);
    },
    bits: (x) => wordOf(x) >>> 16,
    from: (bits) => floatOf(bits << 16),
  },
  f16: {
    nearest(x) {
      const f = Math.fround(x);
      const a = Math.abs(f);
      if (!(a < 65520)) return Number.isNaN(f) ? f : Math.sign(f) * Infinity;
      // Doubles beside `large` are spaced as halves beside a.
      const large = 2 ** (Math.max((wordOf(a) >>> 23) - 127, -14) + 42);
      return Math.sign(f) * (a + large - large);
    },
    bits(x) {
      const a = Math.abs(x);
      const sign = (wordOf(x) >>> 16) & 0x8000;
      if (!(a < 65536)) return sign | (Number.isNaN(x) ? 0x7e00 : 0x7c00);
      return sign | (a < 2 ** -14 ? a * 2 ** 24 : (wordOf(a) - 0x38000000) >>> 13);
    },
    from(bits) {
      const sign = bits & 0x8000 ? -1 : 1;
      const exponent = (bits >> 10) & 31;
      const fraction = bits & 1023;
      if (exponent === 31) return fraction ? NaN : sign * Infinity;
      return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
    },
  },
};

export const isHalf = (name: string): name is Half => Object.hasOwn(halves, name);
