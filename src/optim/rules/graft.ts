/** The direction of one rule with the length of another: a preconditioner is then as easy to tune as what is grafted. */
import { norm } from "../../ir/math.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { mapWithPath } from "../../tree.ts";
import { ema, lifted, over, unbias } from "../parts.ts";
import { filled, type TracedState, type Transform } from "../transform.ts";

/** u · ‖w‖ / ‖u‖ for each tensor, u of `direction` and w of `length`; 0 where ‖u‖ is 0. Agarwal et al. 2020. */
export function grafted(direction: Transform, length: Transform): Transform {
  return {
    gives: "direction",
    describe: `${direction.describe} as long as ${length.describe}`,
    init: (params) => ({ direction: direction.init(params), length: length.init(params) }),
    update(g, state, context) {
      const [u, after] = direction.update(g, state.direction as TracedState, context);
      const [w, later] = length.update(g, state.length as TracedState, context);
      const both = mapWithPath((_, x: Tensor, y: Tensor) => x.mul(over(norm(y), norm(x), 0)), u, w);
      return [both, { direction: after, length: later }];
    },
  };
}

/** Adam without momentum: g / (√v̂ + ε). */
export const adamScale = ({ b2, eps }: { b2: number; eps: number }): Transform =>
  lifted("adam", {
    init: (p) => ({ v: filled(p) }),
    update(g, { v }, { step }) {
      const next = ema(v, g.square(), b2);
      return [over(g, next.mul(unbias(b2, step)).sqrt().add(eps), eps), { v: next }];
    },
  });
