/** A table of vectors, looked up by integers. */
import { fail } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import type { Tensor } from "../ir/tensor.ts";
import { normal } from "./init.ts";
import { type Init, type Module, module, type ParamSpec, param } from "./module.ts";

/**
 * Row x of the weight.   x: int[..] → f32[.., width], weight: f32[n, width], standard normal at first as in PyTorch
 *
 * Throws where x does not hold integers; integers beyond 0 … n − 1 are refused where they come in as data.
 */
export const embedding = (
  n: number,
  width: number,
  options: { readonly weightInit?: Init } = {},
): Module<{ weight: ParamSpec }, readonly [], Tensor> => {
  checkOptions("embedding", options, ["weightInit"]);
  const { weightInit = normal() } = options;
  for (const k of [n, width]) {
    if (!(Number.isInteger(k) && k > 0)) fail(`embedding(${n}, ${width}): sizes must be whole numbers from 1 on`);
  }
  return module({ weight: param([n, width], weightInit) }, (m, x) => m.weight.gather(x.bound(n, "embedding: input")));
};
