/** Layers one after the other. */
import { fail, shown } from "../ir/fail.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type Module, module } from "./module.ts";

/** A module of one input, or a function such as relu. */
export type Layer = Module<any, readonly [], Tensor> | ((x: Tensor) => Tensor);

const oneLayer = "a layer is a module such as linear(3, 2), or a function of a Tensor such as relu";

const made = new WeakSet<object>(); // by the children, which are the same where something wraps the module

/** Whether `sequential` made it: its layers have places and no names, as PyTorch's nn.Sequential has it. */
export const isSequential = (m: Module): boolean => made.has(m.children);

/** x → layers[n − 1](… layers[0](x)). Its parameters are `layers.0.weight` and so on; a function's place holds {}. */
export const sequential = <const L extends readonly Layer[]>(
  ...layers: L
): Module<{ readonly layers: L }, readonly [], Tensor> => {
  for (const [k, layer] of layers.entries()) {
    if (typeof layer === "function" || layer?.kind === "module") continue;
    const hint = Array.isArray(layer) ? "layers are the arguments themselves: sequential(...list)" : oneLayer;
    fail(`sequential: layer ${k} is ${shown(layer)}`, hint);
  }
  const net = module({ layers }, (m, x) => {
    const bound = m.layers as readonly ((x: Tensor) => Tensor)[];
    return bound.reduce((y, layer) => layer(y), x);
  });
  made.add(net.children);
  return net;
};
