/**
 * What `import … from "downhill"` gives: tensors and their gradients, trees, random numbers, and the runs that make
 * programs of them. Networks, optimizers, data and training have subpaths of their own, such as `downhill/nn`.
 */
export * from "./ir/index.ts";
/** Draws inside a program, on Tensors: the same bits as those of `random`. */
export * as draws from "./ir/random.ts";
/** Keys, draws and permutations on the host, as functions of a seed. */
export * as random from "./random.ts";
export type { Backend, BackendName, Executable, Known, Limiter, Limits, Load, Memory, Spent } from "./run/backend.ts";
export type { Finding, Operand } from "./run/explain.ts";
export { evaluate, jit } from "./run/jit.ts";
export type { Loop, LoopOptions, Result, Step, Taken, Traced, Values } from "./run/loop.ts";
export { type Footprint, Run, type RunOptions } from "./run/run.ts";
export { backendNames, type Selected, selectBackend } from "./run/select.ts";
/** map, leaves and paths over plain objects and arrays. */
export * as tree from "./tree.ts";
