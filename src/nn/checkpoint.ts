/** Activation checkpointing: time for memory, part by part of a net. */
import { fail, shown } from "../ir/fail.ts";
import { recompute, type Tensor } from "../ir/tensor.ts";
import type { Module } from "./module.ts";

/**
 * The same layer, whose inner results are not kept for the backward pass but computed a second time when it comes to
 * them: of a deep net of such blocks only what goes from block to block is kept. Parameters and state keep their paths,
 * and every bit of a training stays as it is; dropout draws the same numbers again, and running statistics move once.
 *
 *   sequential(...range(24).map(() => checkpoint(transformerBlock(64, 4))), linear(64, 10))
 *
 * Worth it where a part makes much more than it takes and gives, such as a block of a transformer or of convolutions; not
 * for the last layers, whose gradient comes at once. Inside of another one it does nothing.
 * Griewank & Walther 2000 (revolve), Chen et al. 2016, section 3; which blocks, is for the user to say.
 *
 * Throws where it is given neither a module nor a function of a Tensor.
 */
export function checkpoint<L extends Module | ((x: Tensor) => Tensor)>(layer: L): L {
  if (typeof layer === "function") {
    const wrapped = (...inputs: [Tensor]) => recompute(() => layer(...inputs));
    return Object.defineProperty(wrapped, "name", { value: layer.name }) as L;
  }
  if (layer?.kind !== "module") {
    fail(`checkpoint: expected a layer, got ${shown(layer)}`, "checkpoint(transformerBlock(64, 4))");
  }
  const { forward } = layer;
  return { ...layer, forward: (...given: Parameters<typeof forward>) => recompute(() => forward(...given)) };
}
