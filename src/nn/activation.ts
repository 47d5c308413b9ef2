/** Activations are plain functions of a Tensor: they have nothing to bind, and stand between layers as they are. */
import type { Tensor } from "../ir/tensor.ts";

export { elu, gelu, leakyRelu, logSoftmax, relu, sigmoid, silu, softmax, softplus, tanh } from "../ir/math.ts";

/** Every axis but the first merged into one.   f32[n, ..] → f32[n, d] */
export const flatten = (x: Tensor): Tensor => x.flatten(1);
