/**
 * Dynamic loss scaling for f16, whose numbers end at 65504 and lose digits below 6.1e-5: the gradients of `scale` times the
 * loss are taken and divided by it again, which for powers of two is exact. A step whose gradients are not finite is
 * skipped, with all state as it was, and halves the scale; many good ones in a row double it.
 *
 * The scale is part of the run's state and changes inside the program, so that nothing depends on how many steps a call
 * takes. As in PyTorch's GradScaler, whose defaults these are; Micikevicius et al. 2018, section 3.2.
 */
import { scalar, type Tensor } from "../ir/tensor.ts";
import { type Value, value } from "../ir/value.ts";
import * as tree from "../tree.ts";

export const scaling = {
  start: 2 ** 16,
  growth: 2,
  backoff: 0.5,
  /** Good steps in a row that double the scale. */
  interval: 2000,
  /** Gradients that overflow here would do so at any scale. */
  least: 2 ** -16,
} as const;

/** From here on a scale that grew would leave f32. */
const largest = 2 ** 127;

/** The scale of the next step, and the good steps since it changed. */
export type Scale = { readonly scale: number; readonly good: number };
export type Scaler = { readonly scale: Value; readonly good: Value };
type Traced = tree.Mapped<Scaler, Value, Tensor>;

export const scalerOf = ({ scale, good }: Scale = { scale: scaling.start, good: 0 }): Scaler => ({
  scale: value([], [scale]),
  good: value([], [good]),
});

/** The scaler after a step; `ok`: whether its gradients were finite. A scale that would become infinite stays. */
export function scaled({ scale, good }: Traced, ok: Tensor, interval: number = scaling.interval): Traced {
  const more = ok.where(good.add(1), 0);
  const full = more.eq(interval);
  const grown = full.where(scale.lt(largest).where(scale.mul(scaling.growth), scale), scale);
  return { scale: ok.where(grown, scale.mul(scaling.backoff)), good: full.where(0, more) };
}

// any: trees as the net and the rule made them
type Tree = any;

/** Gradients of the loss from those of `scale` times the loss. */
export function unscaled(gradients: Tree, scale: Tensor | undefined): Tree {
  if (!scale) return gradients;
  const share = scalar(1, scale.dtype).div(scale);
  return tree.map((g: Tensor) => g.mul(share.cast(g.dtype)), gradients);
}

/** The next state, or where the step is skipped the one before, bit for bit. */
export const unless = (ok: Tensor, next: Tree, now: Tree): Tree =>
  tree.map((after: Tensor, before: Tensor) => ok.where(after, before), next, now);
