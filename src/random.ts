/**
 * Counter-based random numbers: every draw is a pure function of (key, counter), so there is no generator to carry
 * around, save or restore, and a program that draws the same element on another backend gets the same bits.
 *
 *   key(seed)            the seed's low and high 32 bits
 *   bits of element i    threefry2x32(key, (i, stream)): two words, w0 and w1
 *   uniform              (w0 >>> 8) · 2⁻²⁴
 *   normal               √(−2 ln u) · cos(2π v),  u = ((w0 >>> 8) + 1) · 2⁻²⁴,  v = (w1 >>> 8) · 2⁻²⁴
 *
 * Threefry-2x32 with 20 rounds: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
import { fail } from "./ir/fail.ts";

/** Two u32 words. Independent draws need different keys, streams or elements. */
export type Key = readonly [number, number];

/** `foldIn` draws from these streams; nothing else may. */
const integerStream = 0xffffffff;
const textStream = 0xfffffffe;
const lengthStream = 0xfffffffd;

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;

/** Two u32 words from a key and a counter of two u32 words each. */
export function threefry2x32(key: Key, counter: readonly [number, number]): [number, number] {
  const k0 = key[0] | 0;
  const k1 = key[1] | 0;
  const schedule = [k0, k1, 0x1bd11bda ^ k0 ^ k1] as const;
  let a = (counter[0] + k0) | 0;
  let b = (counter[1] + k1) | 0;
  for (let round = 0; round < 20; round++) {
    const r = rotations[round & 7]!;
    a = (a + b) | 0;
    b = ((b << r) | (b >>> (32 - r))) ^ a;
    if ((round & 3) !== 3) continue;
    const i = (round + 1) >>> 2; // a key injection after every fourth round
    a = (a + schedule[i % 3]!) | 0;
    b = (b + schedule[(i + 1) % 3]! + i) | 0;
  }
  return [a >>> 0, b >>> 0];
}

/** The root key of a seed, an integer from 0 to 2⁵³ − 1: its low and its high word. */
export function key(seed: number): Key {
  if (!Number.isSafeInteger(seed) || seed < 0) fail(`seed: expected an integer from 0 to 2⁵³ − 1, got ${seed}`);
  return [seed >>> 0, Math.floor(seed / 2 ** 32)];
}

/**
 * A key for one purpose, independent of every other: `foldIn(key(seed), "dropout")`, `foldIn(k, epoch)`. An integer is
 * one block (two from 2³² on); a text is absorbed one UTF-16 unit at a time and closed by its length.
 */
export function foldIn(k: Key, label: number | string): Key {
  if (typeof label === "string") {
    let at = k;
    for (let i = 0; i < label.length; i++) at = threefry2x32(at, [label.charCodeAt(i), textStream]);
    return threefry2x32(at, [label.length, lengthStream]);
  }
  if (!Number.isSafeInteger(label) || label < 0) {
    fail(`foldIn: expected a text or an integer from 0 to 2⁵³ − 1, got ${label}`);
  }
  const low = threefry2x32(k, [label >>> 0, integerStream]);
  const high = Math.floor(label / 2 ** 32);
  return high === 0 ? low : threefry2x32(low, [high, integerStream]);
}

/** 32 random bits, as a u32. */
export const bits = (k: Key, i: number, stream = 0): number => threefry2x32(k, [i, stream])[0];

/** Uniform in [0, 1), a multiple of 2⁻²⁴, so exact in f32. */
export const uniform = (k: Key, i: number, stream = 0): number => (bits(k, i, stream) >>> 8) * 2 ** -24;

/** Standard normal by Box and Muller, computed in f64; |x| ≤ √(48 ln 2) = 5.77. */
export function normal(k: Key, i: number, stream = 0): number {
  const [w0, w1] = threefry2x32(k, [i, stream]);
  const u = ((w0 >>> 8) + 1) * 2 ** -24;
  const v = (w1 >>> 8) * 2 ** -24;
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
}

/** An integer from 0 to n − 1 out of 53 bits: probabilities differ by at most 2⁻⁵³. */
export function integer(k: Key, n: number, i: number, stream = 0): number {
  const [w0, w1] = threefry2x32(k, [i, stream]);
  return Math.floor((w0 * 2 ** 21 + (w1 >>> 11)) * 2 ** -53 * n);
}

/** 0 … n − 1 in random order, a pure function of its arguments. Fisher and Yates, as in Knuth's algorithm P. */
export function permutation(n: number, seed: number, epoch = 0): Int32Array<ArrayBuffer> {
  return shuffled(n, foldIn(foldIn(key(seed), "permutation"), epoch));
}

/** 0 … n − 1 in the random order of a key. */
export function shuffled(n: number, k: Key): Int32Array<ArrayBuffer> {
  const order = new Int32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  for (let i = n - 1; i > 0; i--) {
    const j = integer(k, i + 1, i);
    const held = order[i]!;
    order[i] = order[j]!;
    order[j] = held;
  }
  return order;
}
