/** Functions of tensors as functions of numbers: traced at the first call of each signature, then a compiled program. */
import { fail, shown } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import { Value } from "../ir/value.ts";
import * as tree from "../tree.ts";
import type { Loop, LoopOptions, Values } from "./loop.ts";
import { Run, type RunOptions } from "./run.ts";

type Nothing = Record<string, never>;

/**
 * `f` on trees of Values instead of trees of Tensors. A new shape or dtype among the arguments compiles again. Throws where
 * an argument holds anything but Values.
 *
 *   const hypotenuse = jit((a: Tensor, b: Tensor) => a.square().add(b.square()).sqrt());
 *   await hypotenuse(value([2], [3, 5]), value([2], [4, 12])); // f32[2]: 5, 13
 */
export function jit<A extends unknown[], R>(
  f: (...args: A) => R,
  options: RunOptions & LoopOptions = {},
): (...args: Values<A>) => Promise<Values<R>> {
  if (typeof f !== "function") fail(`jit: expected a function of Tensors, got ${shown(f)}`, jitCall);
  checkOptions("jit", options, ["backend", "threads", "precision"]);
  const { precision, ...where } = options;
  // any: the trace of Values<A> is A again, which mapped types cannot see.
  let started: Promise<Loop<Nothing, any, Nothing, R>> | undefined;
  const start = async () => {
    const run = await Run.start<Nothing>({}, where);
    return run.loop<any, R, Nothing>((_, args) => ({ output: f(...args) }), { precision });
  };
  return async (...args) => {
    for (const [path, v] of tree.paths<unknown>(args)) {
      if (!(v instanceof Value)) {
        const place = path.replace(/^\d+/, (k) => `argument ${Number(k) + 1}`);
        fail(`jit: ${place}: expected a Value, numbers with a shape, got ${shown(v)}`, jitCall);
      }
    }
    started ??= start();
    const once = tree.map((v: Value) => new Value(v.dtype, [1, ...v.shape], v.data), args);
    const { output } = await (await started).take(1, once);
    return tree.map((v: Value) => new Value(v.dtype, v.shape.slice(1), v.data), output);
  };
}

const jitCall = "jit((x) => x.square())(value([3], [1, 2, 3])); a single number is value([], [3])";

/** The numbers of a tensor, or of a tree of tensors, that depends on no input. */
export const evaluate = <T>(t: T, options: Parameters<typeof jit>[1] = {}): Promise<Values<T>> =>
  jit(() => t, options)();
