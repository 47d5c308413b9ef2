/**
 * What update rules are made of: an average, the correction of its bias, a division that stands zeros. Corrections are
 * scalars of the step alone, computed as −expm1(t · ln β), which keeps its digits in f32 where 1 − βᵗ loses them.
 */
import { asOne, type Like, lift, scalar, type Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { leaves } from "../tree.ts";
import { type Gives, leafwise, type Rule, type Transform } from "./transform.ts";

/** A rule of ours: where its nodes were written need not be looked for at each of them. */
export function lifted<S extends Record<string, Value>>(describe: string, rule: Rule<S>, gives?: Gives): Transform {
  const transform = leafwise(describe, rule, gives);
  return { ...transform, update: (...given) => asOne(() => transform.update(...given)) };
}

/** The widest float among some Values: the dtype of a scalar that is one for all of them. */
export const floatOf = (params: unknown): "f32" | "f64" =>
  leaves<Value>(params).some((p) => p.dtype === "f64") ? "f64" : "f32";

/** b · average + (1 − b) · x. */
export const ema = (average: Tensor, x: Tensor, b: Like): Tensor =>
  average.mul(b).add(x.mul(typeof b === "number" ? 1 - b : lift(b, x.dtype).neg().add(1)));

/** Of each step what it made of which b: a rule asks again for each of its tensors. */
const unbiased = new WeakMap<Tensor, Map<Like, Tensor>>();

/** 1 / (1 − bᵗ), a scalar. */
export function unbias(b: Like, step: Tensor): Tensor {
  const known = unbiased.get(step) ?? new Map<Like, Tensor>();
  unbiased.set(step, known);
  const made = known.get(b) ?? correction(b, step);
  known.set(b, made);
  return made;
}

function correction(b: Like, step: Tensor): Tensor {
  const one = scalar(1, step.dtype);
  if (b === 0) return one;
  const log = typeof b === "number" ? Math.log(b) : lift(b, step.dtype).log();
  return one.div(step.mul(log).expm1().neg());
}

/** a / b, where 0 / 0 is 0 if nothing else keeps the divisor from 0. */
export const over = (a: Tensor, b: Tensor, guard: number): Tensor =>
  Math.fround(guard) > 0 ? a.div(b) : b.eq(0).where(0, a.div(b));

/** −1, 0 or 1; what is not a number stays so, and is seen. */
export const sign = (x: Tensor): Tensor => {
  const one = scalar(1, x.dtype);
  return x.gt(0).where(one, x.lt(0).where(one.neg(), x));
};
