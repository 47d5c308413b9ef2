/**
 * A^(−1/p) of a symmetric positive matrix by matrix products alone, because a graph has no eigendecomposition: the coupled
 * Newton iteration. Higham, Functions of Matrices, 2008, eq. 7.18; Guo & Higham 2006; as in Anil et al. 2020.
 */
import { norm, power } from "../../ir/math.ts";
import { iota, scalar, type Tensor } from "../../ir/tensor.ts";
import type { Hyper } from "../hyper.ts";

/**
 * B^(−1/p) with B = A + (ε + r ‖A‖) I, ‖·‖ Frobenius' norm.   a: f32[n, n], symmetric, no eigenvalue below 0 → same
 *
 *   M = z B, X = z^(1/p) I with z = (p + 1) / (2 ‖B‖);  T = ((p + 1) I − M) / p,  X ← X T,  M ← Tᵖ M until M = I
 *
 * The ridge r bounds the condition by 1 / r, and so how many iterations are needed: that is known before the first. It
 * also keeps rounding from making an eigenvalue negative, from which the iteration runs away: r · ‖A‖ should be above the
 * dtype's own error. The relative error is about that of the dtype times the condition: 1e-3 in f32, 1e-11 in f64 for 1e6.
 */
export function inverseRoot(a: Tensor, p: number, { eps, ridge }: Pick<Hyper, "eps" | "ridge">): Tensor {
  const n = a.shape[0]!;
  const identity = iota(n)
    .reshape([n, 1])
    .eq(iota(n).reshape([1, n]))
    .cast(a.dtype);
  const damped = a.add(identity.mul(norm(a).mul(ridge).add(eps)));
  const z = scalar((p + 1) / 2, a.dtype).div(norm(damped));
  let m = damped.mul(z);
  let x = identity.mul(power(z, 1 / p));
  for (let k = iterations(p, ridge); k > 0; k--) {
    const t = identity
      .mul(p + 1)
      .sub(m)
      .div(p);
    x = x.matmul(t);
    m = raised(t, p).matmul(m);
  }
  return x;
}

/** Small eigenvalues grow by (1 + 1/p)ᵖ until they are about 1; five more steps double the digits that are right. */
const iterations = (p: number, ridge: number): number =>
  Math.max(0, Math.ceil(Math.log((2 * (1 + ridge)) / ((p + 1) * ridge)) / (p * Math.log1p(1 / p)))) + 5;

/** tᵖ by squaring. */
function raised(t: Tensor, p: number): Tensor {
  if (p === 1) return t;
  const half = raised(t, Math.floor(p / 2));
  const square = half.matmul(half);
  return p % 2 ? square.matmul(t) : square;
}
