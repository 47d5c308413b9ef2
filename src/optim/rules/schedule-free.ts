/**
 * Schedule-free descent: averaging takes the place of a rate that falls. Three sequences: z takes the base rule's steps,
 * x is their average, and gradients are taken between the two, at y = (1 − β) z + β x. The parameters that are trained
 * are y, the state holds z, and x, which is evaluated, follows from both. Defazio et al. 2024, "The road less scheduled".
 */
import { fail } from "../../ir/fail.ts";
import { asOne, scalar, type Tensor } from "../../ir/tensor.ts";
import { value } from "../../ir/value.ts";
import { map } from "../../tree.ts";
import { type Hyper, show } from "../hyper.ts";
import { floatOf, lifted, over, unbias } from "../parts.ts";
import { filled, type Optimizer, type State, type TracedState, type Transform } from "../transform.ts";

type Averaging = Pick<Hyper, "b1" | "r" | "weightLrPower"> & {
  /** The rate of a step, where it is not lr alone. */
  readonly rate?: (lr: Tensor, step: Tensor) => Tensor;
};

/**
 * z ← z − γ u, x ← (1 − c) x + c z, u the base's direction at y and γ the rate. A step weighs tʳ γ_maxᵖ in the average, so
 * that those of a warm-up count little: c is its part of all weights so far. x is never kept:
 *   y' − y = c (z − y) − γ (1 − β (1 − c)) u.
 */
export function scheduleFree(name: string, base: Transform, { b1, r, weightLrPower, rate }: Averaging): Optimizer {
  if (!(b1 > 0)) fail(`${name}: b1 must be a number in (0, 1), got ${show(b1)}`, "x cannot be had from y and z at 0");
  return {
    gives: "move",
    describe: name,
    evaluated: (params, { z }) => map((y: Tensor, z: Tensor) => y.add(z.sub(y).mul(1 - 1 / b1)), params, z),
    init(params) {
      const dtype = floatOf(params);
      const zero = value([], [0], dtype);
      return { base: base.init(params), z: params as State, weights: zero, highest: zero };
    },
    update(direction, state, context) {
      const { params, step, lr } = context;
      const [u, next] = base.update(direction, state.base as TracedState, context);
      const [before, top] = [state.weights as Tensor, state.highest as Tensor];
      const gamma = rate ? rate(lr, step) : lr;
      const highest = top.max(gamma.cast(top.dtype));
      const weight = power(step.cast(top.dtype), r).mul(power(highest, weightLrPower));
      const weights = before.add(weight);
      const c = over(weight, weights, 0);
      const moves = map(
        (y: Tensor, z: Tensor, d: Tensor) =>
          asOne(() => {
            const share = c.cast(y.dtype);
            const rest = scalar(1, y.dtype).sub(scalar(1, y.dtype).sub(share).mul(b1));
            return y
              .sub(z)
              .mul(share)
              .add(d.mul(gamma.cast(y.dtype)).mul(rest));
          }),
        params,
        state.z,
        u,
      );
      const z = map((z: Tensor, d: Tensor) => z.sub(d.mul(gamma.cast(z.dtype))), state.z, u);
      return [moves, { base: next, z, weights, highest }];
    },
  };
}

/** xⁿ of a scalar from 0 on, and 1 where n is 0. */
const power = (x: Tensor, n: number): Tensor =>
  n === 0 ? scalar(1, x.dtype) : n === 1 ? x : n === 2 ? x.square() : x.gt(0).where(x.log().mul(n).exp(), 0);

/**
 * The base of schedule-free AdamW: g / (√v̂ + ε), Adam without a mean of gradients. `corrected` false is the paper's, which
 * corrects the rate instead (`warming`).
 */
export const rootMoment = ({ b2, eps }: Pick<Hyper, "b2" | "eps">, corrected: boolean): Transform =>
  lifted("rms", {
    init: (p) => ({ v: filled(p) }),
    update(g, { v }, { step }) {
      const next = v.mul(b2).add(g.square().mul(1 - b2));
      const square = corrected ? next.mul(unbias(b2, step)) : next;
      return [over(g, square.sqrt().add(eps), eps), { v: next }];
    },
  });

/** γ √(1 − β₂ᵗ): a warm-up as long as v's. */
export const warming =
  (b2: number) =>
  (lr: Tensor, step: Tensor): Tensor =>
    lr.div(unbias(b2, step.cast(lr.dtype)).sqrt());
