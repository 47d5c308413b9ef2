/**
 * The draws of src/random.ts inside a program: the same function of (key, stream, element), hence the same bits as on
 * the host and on every backend. A key is a u32[2] Tensor, so that each step can bring its own as an input.
 *
 * Nothing here has a gradient: a draw is an integer first, and enters the floats by a cast.
 */
import type { Float } from "./dtype.ts";
import { fail } from "./fail.ts";
import { stack } from "./math.ts";
import { type Shape, size } from "./shape.ts";
import { asOne, iota, type Like, lift, scalar, Tensor } from "./tensor.ts";

/** What `foldIn` of src/random.ts draws integers from. */
const integerStream = 0xffffffff;

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;

/** A product with 2^r is a shift to the left: u32 wraps. */
const rotate = (x: Tensor, r: number) => x.mul(2 ** r).xor(x.shr(32 - r));

/**
 * Threefry-2x32 with 20 rounds: two u32 words from a key u32[2] and two counter words of any shape.
 * Salmon, Moraes, Dror, Shaw, SC 2011; src/random.ts is the same in numbers.
 */
export function threefry2x32(key: Tensor, counter: readonly [Tensor, Tensor]): [Tensor, Tensor] {
  if (key.dtype !== "u32" || `${key.shape}` !== "2") {
    fail(`random: a key is u32[2], got ${key}`, 'make one on the host: value([2], foldIn(key(seed), step), "u32")');
  }
  return asOne(() => {
    const [k0, k1] = [key.slice(0, 0, 1).reshape([]), key.slice(0, 1, 2).reshape([])];
    const schedule = [k0, k1, k0.xor(k1).xor(0x1bd11bda)] as const;
    let a = counter[0].add(k0);
    let b = counter[1].add(k1);
    for (let round = 0; round < 20; round++) {
      a = a.add(b);
      b = rotate(b, rotations[round & 7]!).xor(a);
      if ((round & 3) !== 3) continue;
      const i = (round + 1) >>> 2; // a key injection after every fourth round
      a = a.add(schedule[i % 3]!);
      b = b.add(schedule[(i + 1) % 3]!.add(i));
    }
    return [a, b];
  });
}

/** Both words of each element, row-major. */
function words(key: Tensor, shape: Shape, stream: number): [Tensor, Tensor] {
  const [w0, w1] = threefry2x32(key, [iota(size(shape), "u32"), scalar(stream, "u32")]);
  return [w0.reshape(shape), w1.reshape(shape)];
}

/** 32 random bits per element.  → u32[..shape] */
export const bits = (key: Tensor, shape: Shape, stream = 0): Tensor => words(key, shape, stream)[0];

/** Uniform in [0, 1), multiples of 2⁻²⁴, so the same numbers in f32 and f64. */
export const uniform = (key: Tensor, shape: Shape, stream = 0, dtype: Float = "f32"): Tensor =>
  unit(bits(key, shape, stream), dtype);

/** The upper 24 bits as a fraction of 2²⁴. */
const unit = (w: Tensor, dtype: Float) =>
  w
    .shr(8)
    .cast(dtype)
    .mul(2 ** -24);

/** Standard normal by Box and Muller, as on the host up to the rounding of `dtype`. */
export function normal(key: Tensor, shape: Shape, stream = 0, dtype: Float = "f32"): Tensor {
  const [w0, w1] = words(key, shape, stream);
  const u = unit(w0, dtype).add(2 ** -24);
  return u
    .log()
    .mul(-2)
    .sqrt()
    .mul(
      unit(w1, dtype)
        .mul(2 * Math.PI)
        .cos(),
    );
}

/** True with probability `rate` (to 2⁻²⁴), per element: where `uniform` is below it, compared as integers. */
export const chance = (rate: number, key: Tensor, shape: Shape, stream = 0): Tensor =>
  bits(key, shape, stream)
    .shr(8)
    .lt(Math.ceil(rate * 2 ** 24));

/** A key for one purpose: `foldIn(key, 2)` for a second apply in one step, or a u32 counter.  → u32[2] */
export function foldIn(key: Tensor, label: Like): Tensor {
  if (
    label instanceof Tensor
      ? label.dtype !== "u32" || label.rank !== 0
      : !(label >= 0 && label < 2 ** 32 && Number.isInteger(label))
  ) {
    fail(`foldIn: expected a u32 scalar or a whole number below 2³², got ${label}`);
  }
  return stack(threefry2x32(key, [lift(label, "u32"), scalar(integerStream, "u32")]));
}
