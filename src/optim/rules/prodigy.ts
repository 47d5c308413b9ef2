/**
 * Prodigy: Adam that finds its own rate. d estimates how far the minimum is from the start: along the way, the gradients'
 * products with the way back to the start, over their sum's length, are a lower bound of it, and d is the highest bound so
 * far. One d for all tensors. Mishchenko & Defazio 2024, algorithm 4, as in the authors' package.
 */
import { asOne, scalar, type Tensor } from "../../ir/tensor.ts";
import { value } from "../../ir/value.ts";
import { leaves, map, mapWithPath } from "../../tree.ts";
import type { Chosen, Hyper } from "../hyper.ts";
import { ema, floatOf, unbias } from "../parts.ts";
import { filled, fits, parameter, type State, type Transform } from "../transform.ts";

type Prodigy = Chosen<
  Pick<Hyper, "b1" | "b2" | "eps" | "d0" | "dCoef" | "weightDecay" | "biasCorrection" | "safeguardWarmup"> &
    Partial<Pick<Hyper, "b3">>
>;

/**
 * γ = d lr, with Adam's √(1 − β₂ᵗ) / (1 − β₁ᵗ) where it corrects:
 *   r ← β₃ r + (d / d₀) γ ⟨g, p₀ − p⟩,  s ← β₃ s + (d / d₀) γ g,  d' = max(d, coef · r / ‖s‖₁)
 *   m ← β₁ m + (1 − β₁) d g,  v ← β₂ v + (1 − β₂) d² g²,  p ← p − γ (m / (√v + d' ε) + λ p)
 * While all gradients have been 0, d stays; there the package would not decay either.
 */
export function prodigyRule(o: Prodigy): Transform {
  const { b1, b2, b3 = Math.sqrt(b2), eps, d0, dCoef, weightDecay, decayOnly } = o;
  return {
    gives: "direction",
    describe: "prodigy",
    init(params) {
      const zeros = mapWithPath((path, p) => filled(parameter(path, p)), params) as State;
      const scalarOf = (x: number) => value([], [x], floatOf(params));
      return { m: zeros, v: zeros, s: zeros, start: params as State, d: scalarOf(d0), r: scalarOf(0) };
    },
    update(direction, state, { params, step, lr }) {
      mapWithPath((path, p: Tensor, g: Tensor) => fits(path, p, g), params, direction);
      const d = state.d as Tensor;
      const { dtype } = d;
      const t = step.cast(dtype);
      const correction = o.biasCorrection ? unbias(b1, t).div(unbias(b2, t).sqrt()) : scalar(1, dtype);
      const unit = d.mul(correction); // γ without lr
      const rate = unit.mul(lr.cast(dtype));
      const grown = d.div(d0);
      const total = (tree: unknown) =>
        leaves<Tensor>(tree)
          .map((x) => x.sum().cast(dtype))
          .reduce((a, b) => a.add(b));

      const way = map((g: Tensor, p: Tensor, start: Tensor) => g.mul(start.sub(p)), direction, params, state.start);
      const r = (state.r as Tensor).mul(b3).add(grown.mul(rate).mul(total(way)));
      const fresh = grown.mul(o.safeguardWarmup ? d : rate);
      const s = map((s: Tensor, g: Tensor) => s.mul(b3).add(g.mul(fresh.cast(g.dtype))), state.s, direction);
      const length = total(map((s: Tensor) => s.abs(), s));
      const next = length.eq(0).where(d, d.max(r.mul(dCoef).div(length.eq(0).where(1, length))));

      const m = map((m: Tensor, g: Tensor) => ema(m, g.mul(d.cast(g.dtype)), b1), state.m, direction);
      const v = map((v: Tensor, g: Tensor) => ema(v, g.mul(d.cast(g.dtype)).square(), b2), state.v, direction);
      const u = mapWithPath(
        (path, p: Tensor, m: Tensor, v: Tensor) =>
          asOne(() => {
            const step = m.div(v.sqrt().add(next.cast(p.dtype).mul(eps)));
            const decays = weightDecay !== 0 && (!decayOnly || decayOnly(path, p));
            return (decays ? step.add(p.mul(weightDecay)) : step).mul(unit.cast(p.dtype));
          }),
        params,
        m,
        v,
      );
      return [u, { m, v, s, start: state.start as typeof state, d: next, r }];
    },
  };
}
