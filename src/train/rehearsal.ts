/** A net and a loss traced before anything is compiled. */
import { DownhillError } from "../ir/fail.ts";
import { topo } from "../ir/graph.ts";
import { input, Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { apply, type Module } from "../nn/index.ts";
import * as tree from "../tree.ts";
import type { Model } from "./checkpoint.ts";
import type { Examples } from "./examples.ts";
import type { Plan } from "./plan.ts";
import { type FitLoss, partsOf } from "./step.ts";

/**
 * Traces net and loss on each size of batch that there will be, so that what they refuse is known before the first step.
 * → whether the net's output or next state depends on the key: if not, none is made for each step.
 */
export function rehearsed(net: Module, loss: FitLoss, model: Model, examples: Examples, { sizes }: Plan): boolean {
  const { rows, resident, batch } = examples;
  const traced = (t: unknown) => tree.mapWithPath((path, v: Value) => input(v.shape, v.dtype, path), t);
  const { params, state } = traced({ params: model.params, state: model.state }) as Model;
  const seed = input([2], "u32");
  const drawn = (size: number): boolean => {
    const { x, y } = batch(traced(resident), input([size], "i32", "rows"));
    const [prediction, next] = apply(net, { params, state }, x, { training: true, key: seed });
    partsOf(loss, prediction, y);
    return topo(tree.leaves<unknown>([prediction, next]).filter((t) => t instanceof Tensor)).includes(seed);
  };
  const [whole = rows, last] = sizes;
  const draws = drawn(whole);
  if (last === undefined) return draws;
  try {
    drawn(last);
  } catch (error) {
    if (!(error instanceof DownhillError)) throw error;
    const lines = [
      `fit: the last batch of an epoch has ${last === 1 ? "1 row" : `${last} rows`} (${rows} rows in batches of ${whole}), and net or loss refuse it`,
      ...error.message.split("\n").map((line) => `  ${line}`),
      "  hint: leave that batch out with dropLast: true, or choose another batch",
    ];
    throw new DownhillError(lines.join("\n"), { cause: error });
  }
  return draws;
}
