/** Random graphs for property tests: fast-check draws the plan, so that a failure shrinks to a small one. */
import fc from "fast-check";
import { full, iota, type Tensor } from "../../src/ir/index.ts";
import { relu } from "../../src/ir/math.ts";
import type { Range } from "../../src/ir/ops.ts";
import { type Shape, size } from "../../src/ir/shape.ts";
import { apply, batchNorm2d, conv2d, maxPool2d } from "../../src/nn/index.ts";

/** One choice: which op, and numbers that it draws its arguments from. */
export type Choice = { readonly op: number; readonly a: number; readonly b: number; readonly c: number };
export const choices = (most: number) =>
  fc.array(fc.record({ op: fc.nat(63), a: fc.nat(63), b: fc.nat(63), c: fc.nat(63) }), {
    minLength: 1,
    maxLength: most,
  });

const LARGEST = 400; // elements, so that the plain loops stay quick

/** A movement op that fits x. */
export function move(x: Tensor, { op, a, b, c }: Choice): Tensor {
  const axis = x.rank ? a % x.rank : 0;
  const n = x.shape[axis] ?? 1;
  const along = (part: Range, rest: (m: number) => Range) =>
    x.shape.map((m, k): Range => (k === axis ? part : rest(m)));
  switch (op % 8) {
    case 0:
      return x.reshape(factors(size(x.shape), b, c));
    case 1: {
      const order = x.shape.map((_, k) => (k + b) % x.rank);
      return x.permute(c % 2 ? order.reverse() : order);
    }
    case 2:
      return size(x.shape) > LARGEST ? x : x.pad(along([b % 3, c % 3], () => [0, 0]));
    case 3:
      return x.rank ? x.shrink(along([b % (n + 1), Math.max(b % (n + 1), n - (c % 2))], (m) => [0, m])) : x;
    case 4:
      return x.rank ? x.flip(axis) : x;
    case 5: {
      const w = { axis, size: 1 + (b % 3), stride: 1 + (c % 2), dilation: 1 + (c % 3) };
      const fits = x.rank > 0 && x.rank < 5 && n >= w.dilation * (w.size - 1) + 1 && size(x.shape) <= LARGEST;
      return fits ? x.window(w) : x;
    }
    case 6: {
      const wide = x.unsqueeze(b % (x.rank + 1));
      return size(x.shape) > LARGEST || x.rank > 4
        ? x
        : wide.expand(wide.shape.map((m, k) => (k === b % (x.rank + 1) ? 1 + (c % 3) : m)));
    }
    default:
      // Rows in an order of their own, some twice.
      return x.rank && x.shape[0]
        ? x.gather(
            iota(x.shape[0]!)
              .mul(2 + (b % 3))
              .div(2 + (c % 3)),
          )
        : x;
  }
}

function factors(n: number, b: number, c: number): Shape {
  if (n === 0) return [0, 1 + (b % 3)];
  const divisors = Array.from({ length: n }, (_, k) => k + 1).filter((k) => n % k === 0);
  const first = divisors[b % divisors.length]!;
  const rest = divisors.filter((k) => (n / first) % k === 0);
  const second = rest[c % rest.length]!;
  return [first, second, n / first / second];
}

/** An op on tensors that exist already: elementwise, a reduction, a product, a gather or a scatter. Values stay near 1. */
export function combine(known: readonly Tensor[], choice: Choice): Tensor {
  const { op, a, b, c } = choice;
  const x = known[a % known.length]!;
  const y = known[b % known.length]!;
  const axis = x.rank ? c % x.rank : 0;
  const fits = (p: Shape, q: Shape) => p.length === q.length && p.every((n, k) => n === q[k] || n === 1 || q[k] === 1);
  const other = fits(x.shape, y.shape) && size(x.shape) * size(y.shape) < LARGEST * LARGEST ? y : x;
  switch (op % 14) {
    case 0:
      return x.add(other).mul(0.5);
    case 1:
      return x.mul(other);
    case 2:
      return x.max(other);
    case 3:
      return x.lt(other).where(x.mul(0.5), other.sub(0.1));
    case 4:
      return x.tanh();
    case 5:
      return x.div(other.square().add(1));
    case 6:
      return x.rank ? x.sum(axis, { keep: true }).mul(1 / (x.shape[axis]! + 1)) : x.sin();
    case 7:
      return x.rank && x.shape[axis] ? x.amax(axis, { keep: true }) : x.cos();
    case 8: {
      // A product of x with itself turned, batched over what comes before.
      if (x.rank < 2 || size(x.shape) > LARGEST) return x.exp().mul(0.3);
      const n = x.shape.at(-1)!;
      return c % 2
        ? x.matmul(x.transpose()).mul(1 / (n + 1))
        : x
            .transpose()
            .matmul(x)
            .mul(1 / (x.shape.at(-2)! + 1));
    }
    case 9:
      return x.rank && x.shape[0] ? x.scatter(iota(x.shape[0]!).div(2), x.shape[0]!).mul(0.5) : x;
    case 10:
      return x.detach().add(other).mul(0.4);
    case 11:
      return x.add(1.5).square().mul(0.1);
    default:
      return size(x.shape) > LARGEST ? x.mul(0.7) : move(x, { ...choice, op: c });
  }
}

/**
 * The mean of z²·z for z, a convolution, normalised over the batch, shifted, rectified and pooled, and all but the pool again
 * with a weight for each pair of channels.   x: f32[n, 1, h, w], weight: f32[8, 1, 3, 3], shift, second: f32[8]
 */
export function twoLayers(x: Tensor, weight: Tensor, shift: Tensor, second = shift): Tensor {
  const norm = batchNorm2d(8, { trackRunningStats: false });
  const normal = (y: Tensor, bias: Tensor) => relu(apply(norm, { params: { weight: full(0.7, [8]), bias } }, y)[0]);
  const first = apply(conv2d(1, 8, 3, { padding: 1, bias: false }), { params: { weight } }, x)[0];
  const pairs = weight
    .slice(2, 1, 2)
    .slice(3, 1, 2)
    .sub(weight.slice(2, 0, 1).slice(3, 0, 1).permute([1, 0, 2, 3]));
  const pooled = maxPool2d(2)(normal(first, shift));
  const z = normal(apply(conv2d(8, 8, 1, { bias: false }), { params: { weight: pairs } }, pooled)[0], second);
  return z.square().mul(z).mean();
}
