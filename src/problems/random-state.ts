/**
 * NumPy's RandomState, the generator behind a good part of published results: MT19937, doubles of 53 bits, normals by
 * Marsaglia's polar method with the second one kept, shuffles by rejection. Numbers are those of NumPy to the last bit, normals
 * to the rounding of a logarithm. For new work there is `random`, which has no state.
 *
 * Matsumoto & Nishimura 1998; the stream is frozen by NumPy's NEP 19.
 */
import { fail } from "../ir/fail.ts";

const words = 624;
const middle = 397;

export class RandomState {
  private readonly key = new Uint32Array(words);
  private at = words;
  private kept: number | undefined;

  /** Throws unless the seed is an integer from 0 to 2³² − 1. */
  constructor(seed: number) {
    if (!(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32))
      fail(`RandomState: the seed must be an integer from 0 to 2³² − 1, got ${seed}`);
    let word = seed;
    for (let k = 0; k < words; k++) {
      this.key[k] = word;
      word = Math.imul(word ^ (word >>> 30), 1812433253) + k + 1;
    }
  }

  /** 32 bits. */
  bits(): number {
    if (this.at === words) this.twist();
    let y = this.key[this.at++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  private twist(): void {
    const { key } = this;
    for (let k = 0; k < words; k++) {
      const y = (key[k]! & 0x80000000) | (key[(k + 1) % words]! & 0x7fffffff);
      key[k] = key[(k + middle) % words]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }

  /** Uniform in [low, high): `uniform(low, high)`, and `random_sample()` for [0, 1). */
  uniform(low = 0, high = 1): number {
    const [a, b] = [this.bits() >>> 5, this.bits() >>> 6];
    return low + (high - low) * ((a * 2 ** 26 + b) / 2 ** 53);
  }

  /** `normal(mean, sd)`. */
  normal(mean = 0, sd = 1): number {
    return mean + sd * this.gauss();
  }

  private gauss(): number {
    const { kept } = this;
    this.kept = undefined;
    if (kept !== undefined) return kept;
    for (;;) {
      const [x, y] = [2 * this.uniform() - 1, 2 * this.uniform() - 1];
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const f = Math.sqrt((-2 * Math.log(square)) / square);
      this.kept = f * x;
      return f * y;
    }
  }

  /** An integer from 0 to max, by rejection: what a shuffle draws. */
  private upTo(max: number): number {
    const mask = 2 ** (32 - Math.clz32(max)) - 1;
    for (;;) {
      const x = (this.bits() & mask) >>> 0;
      if (x <= max) return x;
    }
  }

  /** 0 … n − 1 in random order: `permutation(n)`. */
  permutation(n: number): Int32Array<ArrayBuffer> {
    const order = Int32Array.from({ length: n }, (_, k) => k);
    for (let k = n - 1; k > 0; k--) {
      const j = this.upTo(k);
      [order[k], order[j]] = [order[j]!, order[k]!];
    }
    return order;
  }
}
