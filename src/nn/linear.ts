/** The dense layer. */
import { fail } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import { asOne, type Tensor } from "../ir/tensor.ts";
import { uniform } from "./init.ts";
import { type Init, type Module, module, type ParamSpec, param } from "./module.ts";

type Options = { readonly weightInit?: Init; readonly biasInit?: Init };
type Linear<C> = Module<C, readonly [], Tensor>;

/**
 * x · weightᵀ + bias over the last axis.   x: f32[.., inputs] → f32[.., outputs], weight: f32[outputs, inputs]
 *
 * Weight and bias start uniform within ±1/√inputs, as in PyTorch: its kaiming_uniform_(a=√5), whose bound is just that.
 * Throws where the last axis of x is not `inputs` long, or x has another dtype than the weight.
 */
export function linear(
  inputs: number,
  outputs: number,
  options?: Options & { readonly bias?: true },
): Linear<{ weight: ParamSpec; bias: ParamSpec }>;
export function linear(
  inputs: number,
  outputs: number,
  options: Options & { readonly bias: false },
): Linear<{ weight: ParamSpec }>;
export function linear(
  inputs: number,
  outputs: number,
  options?: Options & { readonly bias?: boolean },
): Linear<{ weight: ParamSpec; bias: ParamSpec }> | Linear<{ weight: ParamSpec }>;
export function linear(
  inputs: number,
  outputs: number,
  options: Options & { readonly bias?: boolean } = {},
): Linear<{ weight: ParamSpec; bias: ParamSpec }> | Linear<{ weight: ParamSpec }> {
  checkOptions("linear", options, ["bias", "weightInit", "biasInit"]);
  const { bias = true, weightInit, biasInit } = options;
  for (const n of [inputs, outputs]) {
    if (!(Number.isInteger(n) && n > 0)) fail(`linear(${inputs}, ${outputs}): sizes must be whole numbers from 1 on`);
  }
  const start = uniform(1 / Math.sqrt(inputs));
  const weight = param([outputs, inputs], weightInit ?? start);
  if (!bias) return module({ weight }, (m, x) => product(x, m.weight));
  return module({ weight, bias: param([outputs], biasInit ?? start) }, (m, x) => product(x, m.weight).add(m.bias));
}

/** x · wᵀ, also for an x of one axis or of more than two. */
export function product(x: Tensor, w: Tensor): Tensor {
  const [outputs, inputs] = w.shape as [number, number];
  const axis = x.rank - 1;
  if (x.shape[axis] !== inputs) {
    const reason = x.rank === 0 ? "has no axis" : `has ${x.shape[axis]} features on axis ${axis}`;
    fail(`linear: input ${x} ${reason}, weight ${w} expects ${inputs}`, remedy(x, inputs, outputs));
  }
  if (x.dtype !== w.dtype)
    fail(`linear: input ${x} and weight ${w} differ in dtype`, `cast it first: x.cast("${w.dtype}")`);
  return asOne(() => {
    const rows = x.rank === 2 ? x : x.reshape([x.shape.slice(0, -1).reduce((a, b) => a * b, 1), inputs]);
    const y = rows.matmul(w.transpose());
    return x.rank === 2 ? y : y.reshape([...x.shape.slice(0, -1), outputs]);
  });
}

function remedy(x: Tensor, inputs: number, outputs: number): string | undefined {
  if (x.rank === 2 && x.shape[0] === inputs) return "the input looks like [features, n]; use x.transpose()";
  if (x.rank > 2 && x.shape.slice(1).reduce((a, b) => a * b, 1) === inputs) {
    return `the input looks like [n, ${x.shape
      .slice(1)
      .map(() => "..")
      .join(", ")}]; put flatten before this layer`;
  }
  return x.shape.at(-1) === outputs ? `linear takes (inputs, outputs): linear(${outputs}, ${inputs})?` : undefined;
}
