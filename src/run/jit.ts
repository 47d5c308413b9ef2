/** Functions of tensors as functions of numbers: traced at the first call of each signature, then a compiled program. */
import { Value } from "../ir/value.ts";
import * as tree from "../tree.ts";
import type { Backend, BackendName } from "./backend.ts";
import { type Loop, Run, type Values } from "./run.ts";

type Nothing = Record<string, never>;

/**
 * `f` on trees of Values instead of trees of Tensors. A new shape or dtype among the arguments compiles again.
 *
 *   const hypotenuse = jit((a: Tensor, b: Tensor) => a.square().add(b.square()).sqrt());
 *   await hypotenuse(value([2], [3, 5]), value([2], [4, 12])); // f32[2]: 5, 13
 */
export function jit<A extends unknown[], R>(
  f: (...args: A) => R,
  options: { readonly backend?: BackendName | "auto" | Backend } = {},
): (...args: Values<A>) => Promise<Values<R>> {
  // any: the trace of Values<A> is A again, which mapped types cannot see.
  let started: Promise<Loop<Nothing, any, Nothing, R>> | undefined;
  const start = async () => {
    const run = await Run.start<Nothing>({}, options);
    return run.loop<any, R, Nothing>((_, args) => ({ output: f(...args) }));
  };
  return async (...args) => {
    started ??= start();
    const once = tree.map((v: Value) => new Value(v.dtype, [1, ...v.shape], v.data), args);
    const { output } = await (await started).take(1, once);
    return tree.map((v: Value) => new Value(v.dtype, v.shape.slice(1), v.data), output);
  };
}

/** The numbers of a tensor, or of a tree of tensors, that depends on no input. */
export const evaluate = <T>(t: T, options: Parameters<typeof jit>[1] = {}): Promise<Values<T>> =>
  jit(() => t, options)();
