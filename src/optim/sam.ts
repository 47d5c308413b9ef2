/**
 * Sharpness-aware minimisation: the gradient is taken where the loss is highest nearby, so that the rule moves to where
 * all the surroundings are low. The first gradient says where that is, which costs a second pass for every step.
 */
import { fail } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import { asOne, scalar, type Tensor } from "../ir/tensor.ts";
import { map } from "../tree.ts";
import { globalNorm } from "./clip.ts";
import { requireUnfrozen } from "./combine.ts";
import { show } from "./hyper.ts";
import { type Optimizer, requireTransform } from "./transform.ts";

export type SamOptions = {
  /** How far it climbs; 0.05 unless given, adaptive 0.5. */
  readonly rho?: number;
  /** By the scale of each parameter: ASAM. */
  readonly adaptive?: boolean;
  /** Added to that scale; 0.01 unless given. */
  readonly eta?: number;
};

/**
 * The rule with the gradient of θ + ρ g / ‖g‖, one norm over all the parameters that it moves; where g is 0, that of θ.
 * Foret et al. 2021, algorithm 1. Adaptive: θ + ρ T² g / ‖T g‖ with T = |θ| + η, element by element, so that a rescaled
 * network climbs alike. Kwon et al. 2021, algorithm 1, for every parameter.
 *
 * Of the two passes of a step, what the net keeps of the first counts: running statistics, the loss that is reported.
 * Both draw the same dropout. Where `fit` accumulates, each batch climbs by its own gradient (m-SAM, section 4.1 of the
 * paper: with small m it generalises better), which is not the step of the big batch.
 */
export function sam(rule: Optimizer, options: SamOptions = {}): Optimizer {
  requireTransform("sam", rule);
  requireUnfrozen("sam", rule);
  checkOptions("sam", options, ["rho", "adaptive", "eta"]);
  const { adaptive = false } = options;
  if (typeof adaptive !== "boolean") fail(`sam: adaptive must be true or false, got ${show(adaptive)}`);
  const { rho = adaptive ? 0.5 : 0.05, eta = 0.01 } = options;
  if (!(typeof rho === "number" && rho > 0 && Number.isFinite(rho))) {
    fail(`sam: rho must be a finite number > 0, got ${show(rho)}`, "without climbing it is the rule alone");
  }
  if (!(typeof eta === "number" && eta >= 0 && Number.isFinite(eta))) {
    fail(`sam: eta must be a finite number ≥ 0, got ${show(eta)}`);
  }
  if (options.eta !== undefined && !adaptive)
    fail("sam: eta is for the adaptive form", "sam(rule, { adaptive: true })");
  if (rule.climb) fail(`sam: ${rule.describe} says already where the gradient is taken`, "leave one of them out");
  const scaled = (p: Tensor, g: Tensor) => (adaptive ? g.mul(p.abs().add(eta)) : g);
  return {
    ...rule,
    describe: `sam(${rule.describe}; rho ${rho}${adaptive ? `, adaptive, eta ${eta}` : ""})`,
    climb: (gradients, params) =>
      asOne(() => {
        const slope = map(scaled, params, gradients);
        const length = globalNorm(slope);
        const none = length.eq(0);
        const far = none.where(0, scalar(rho, length.dtype).div(none.where(1, length)));
        return map((p: Tensor, g: Tensor) => p.add(scaled(p, g).mul(far.cast(p.dtype))), params, slope);
      }),
  };
}
