/**
 * Rates of single layers: a tensor's step is as long as a small part of the tensor itself, so that no layer runs away
 * from the others when batch and rate are large.
 */
import { norm } from "../../ir/math.ts";
import { scalar } from "../../ir/tensor.ts";
import { chain, only, type Where } from "../combine.ts";
import type { Hyper } from "../hyper.ts";
import { lifted } from "../parts.ts";
import type { Transform } from "../transform.ts";

/**
 * LARS' local rate: u · η ‖p‖ / (‖g‖ + λ‖p‖ + ε) with u = g + λ p. You, Gitman & Ginsburg 2017, algorithm 1, where ε = 0.
 * Optax: λ = 0 here and λ p in the gradient before, so that the divisor is ‖g + λ p‖, which is smaller.
 * Where ‖p‖ or the divisor is 0 the direction stays as it is, as in Optax; the paper would never move what starts at 0.
 */
export function localRate({ trustCoefficient, eps }: LocalRate, lambda = 0): Transform {
  return lifted(`localRate(${trustCoefficient}${lambda ? `, decay ${lambda}` : ""})`, {
    update(g, _, { p }) {
      const u = lambda ? g.add(p.mul(lambda)) : g;
      const weight = norm(p);
      const length = lambda ? norm(g).add(weight.mul(lambda)) : norm(g);
      const one = scalar(1, g.dtype);
      const ratio = weight.mul(trustCoefficient).div(eps ? length.add(eps) : length);
      return u.mul(weight.eq(0).where(one, length.eq(0).where(one, ratio)));
    },
  });
}
type LocalRate = Pick<Hyper, "trustCoefficient"> & Partial<Pick<Hyper, "eps">>;

/** The same with λ for some parameters, and for the others none. */
export function localRates(o: LocalRate, lambda: number, where: Where | undefined): Transform {
  if (!where || !lambda) return localRate(o, lambda);
  return chain(
    only(where, localRate(o, lambda)),
    only((path, p) => !where(path, p), localRate(o)),
  );
}
