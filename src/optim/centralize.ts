/** Gradient centralisation: each output's gradient by its weights has mean 0, so that the mean of the weights stays. */
import { unit } from "./clip.ts";
import { leafwise, type Transform } from "./transform.ts";

/**
 * g − mean(g) over all axes but the first, which is the output of linear[out, in] and convolution[out, in, ..taps]
 * weights. Vectors and numbers stay. Yong et al. 2020, eq. 1.
 *
 * Optax' centralize takes the first axis as well, which in its layout [in, out] is the input. The weight of a transposed
 * convolution has its output second: leave it out with `only`, as you may the rows of an embedding.
 */
export const centralize = (): Transform =>
  leafwise("centralize", { update: (g) => (g.rank < 2 ? g : g.sub(g.mean(unit(g), { keep: true }))) });
