/** The gradient that a rule wants, which is not always that at the parameters. */
import { valueAndGrad } from "../ir/grad.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Optimizer } from "./transform.ts";

/**
 * `valueAndGrad`, with the gradient that `update` is to be given: at the parameters, or where the rule climbs to from
 * there, which takes a second pass. What f returned is that of the first pass. `unscaled` makes the gradients that the
 * rule climbs by, where f scales its loss.
 *
 *   const [loss, g] = valueAndGradFor(rule, lossOf)(s.params);
 *   const [params, opt] = update(rule, g, s.opt, { params: s.params, step, lr });
 */
export const valueAndGradFor =
  <P, Y extends Tensor | readonly [Tensor, unknown]>(
    rule: Optimizer,
    f: (params: P) => Y,
    unscaled = (gradients: P) => gradients,
  ) =>
  (params: P): [Y, P] => {
    const both = valueAndGrad(f);
    const [y, gradients] = both(params);
    return rule.climb ? [y, both(rule.climb(unscaled(gradients), params))[1]] : [y, gradients];
  };
