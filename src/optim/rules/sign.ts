/** Rules that take only the sign of a gradient: how far a weight moves has nothing to do with how steep its slope is. */
import { scalar } from "../../ir/tensor.ts";
import type { Hyper } from "../hyper.ts";
import { ema, lifted, sign } from "../parts.ts";
import { filled, type Transform } from "../transform.ts";

/**
 * Lion: direction sign(β₁ m + (1 − β₁) g), then m ← β₂ m + (1 − β₂) g. One buffer. Chen et al. 2023, algorithm 2.
 */
export const signOfMomentum = ({ b1, b2 }: Pick<Hyper, "b1" | "b2">): Transform =>
  lifted("lion", {
    init: (p) => ({ m: filled(p) }),
    update: (g, { m }) => [sign(ema(m, g, b1)), { m: ema(m, g, b2) }],
  });

/**
 * Rprop: each weight has a step size of its own, from lr at the first step on. It grows by η⁺ while its slope keeps the
 * sign; where the sign turns, it shrinks by η⁻ and the weight waits for a step. Riedmiller & Braun 1993; without taking
 * the last step back, Igel & Hüsken 2003 (iRprop⁻). The rate of later steps does nothing.
 *
 * `late`: the move of the step before, as in Optax 0.2.8, whose first step is none. There a size that starts outside of
 * [minStep, maxStep] stays until its slope turns; here it is brought inside at once, as in PyTorch.
 */
export const resilient = ({ etaMinus, etaPlus, minStep, maxStep }: Resilient, late = false): Transform =>
  lifted(
    "rprop",
    {
      init: (p) => ({ size: filled(p), move: filled(p) }),
      update(g, { size, move }, { step, lr }) {
        const trend = g.mul(move);
        const turned = trend.lt(0);
        const [shrink, grow, keep] = [etaMinus, etaPlus, 1].map((x) => scalar(x, g.dtype));
        const factor = turned.where(shrink!, trend.gt(0).where(grow!, keep!));
        const next = step.eq(1).where(lr, size).mul(factor).max(minStep).min(maxStep);
        const moved = turned.where(0, sign(g).mul(next));
        return [late ? turned.where(0, move) : moved, { size: next, move: moved }];
      },
    },
    "step",
  );
type Resilient = Pick<Hyper, "etaMinus" | "etaPlus" | "minStep" | "maxStep">;
