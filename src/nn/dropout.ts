/** Dropout: zeros that differ from step to step, and are the same for a seed wherever the program runs. */
import { fail } from "../ir/fail.ts";
import { chance } from "../ir/random.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type Module, module } from "./module.ts";

/**
 * In training each element is 0 with probability `rate`, and otherwise x / (1 − rate), so that the expectation is x;
 * outside training it is x. Srivastava et al. 2014, scaled in training rather than afterwards.   x: f32[..] → same
 *
 * Which ones is a function of the step's key, the module's path and the element. Throws unless 0 ≤ rate < 1, and in
 * training where `apply` got no key; rate 0 draws nothing and needs none.
 */
export const dropout = (rate: number): Module<Record<never, never>, readonly [], Tensor> => {
  if (!(rate >= 0 && rate < 1)) {
    fail(
      `dropout: the rate must lie in 0 ≤ rate < 1, got ${rate}`,
      "the rate is the part that is dropped, not the part that is kept",
    );
  }
  return module({}, (_, x, { training, draw }) => {
    if (!training || rate === 0) return x;
    const { key, stream } = draw();
    return chance(rate, key, x.shape, stream).where(0, x.mul(1 / (1 - rate)));
  });
};
