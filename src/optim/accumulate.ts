/**
 * Gradient accumulation: a big batch in several small ones. Add the gradients of each micro-batch's *summed* loss and its
 * weight (the number of examples, or the sum of their weights), divide once at the end. The mean of micro-batch means is
 * another number as soon as the last one is smaller.
 */
import { fail } from "../ir/fail.ts";
import { type Like, lift, scalar, type Tensor, zerosLike } from "../ir/tensor.ts";
import { type Value, value } from "../ir/value.ts";
import { leaves, map } from "../tree.ts";
import { filled } from "./transform.ts";

export type Accumulated<P> = { readonly sum: P; readonly weight: Tensor };

export const accumulator = {
  /** Nothing yet, for these parameters: to be put in a Run's state, and back there after each `mean`. */
  init<P>(params: P): { sum: P; weight: Value } {
    const [first] = leaves<Value>(params);
    if (!first) fail("accumulator: there are no parameters");
    return { sum: map((p: Value) => filled(p), params), weight: value([], [0], first.dtype) };
  },

  /**
   * One micro-batch more.
   *
   * gradients  of the loss summed over its examples (a loss with reduction "sum"), not of a mean
   * weight     what the mean divides by: examples, or Σ of the examples' weights; a number or a scalar
   */
  add<P>(so: Accumulated<P>, gradients: P, weight: Like): Accumulated<P> {
    return {
      sum: map((a: Tensor, g: Tensor) => a.add(g), so.sum, gradients),
      weight: so.weight.add(lift(weight, so.weight.dtype).cast(so.weight.dtype)),
    };
  },

  /** Gradients of the mean loss over all that was added; zeros where the weight is 0. */
  mean<P>({ sum, weight }: Accumulated<P>): P {
    const none = weight.eq(0);
    const share = none.where(scalar(0, weight.dtype), scalar(1, weight.dtype).div(none.where(1, weight)));
    return map((a: Tensor) => a.mul(share.cast(a.dtype)), sum);
  },

  /** Zeros again, for the next step. */
  clear<P>(so: Accumulated<P>): Accumulated<P> {
    return map(zerosLike, so);
  },
};
