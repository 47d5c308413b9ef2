/**
 * Limited-memory BFGS: −B g, where B is the inverse Hessian as the last steps s and changes of gradient y show it, never
 * written down. Nocedal 1980; Liu & Nocedal 1989; Nocedal & Wright 2006, algorithms 7.4 and 7.5.
 */
import { checkOptions } from "../ir/options.ts";
import type { Value } from "../ir/value.ts";
import { requireWhole, requireWolfe } from "./domain.ts";
import { Line } from "./line.ts";
import { strongWolfe } from "./line-search.ts";
import { type Method, vectorOf, zerosOf } from "./method.ts";
import { dot, minus, norm, norm1, plus, times, type Vector } from "./vector.ts";

export type LbfgsOptions = {
  /** Pairs of s and y that are remembered, 2 · history · n doubles; 10 unless given. */
  readonly history?: number;
  /** Strong Wolfe conditions; 1e-4 and 0.9 unless given. */
  readonly c1?: number;
  readonly c2?: number;
};

type Pair = { readonly s: Value<"f64">; readonly y: Value<"f64"> };
/** The oldest first; those not yet made are zeros. */
type Remembered = { readonly pairs: readonly Pair[] };

/**
 * L-BFGS with a line search for the strong Wolfe conditions, which keep s·y above 0. The first step moves x by at most 1.
 * Throws where an option is out of its domain.
 */
export function lbfgs(options: LbfgsOptions = {}): Method<Remembered> {
  checkOptions("lbfgs", options, ["history", "c1", "c2"]);
  const { history = 10, c1 = 1e-4, c2 = 0.9 } = options;
  requireWhole("lbfgs", "history", history);
  requireWolfe("lbfgs", { c1, c2 });
  const init = (n: number): Remembered => ({
    pairs: Array.from({ length: history }, () => ({ s: zerosOf(n), y: zerosOf(n) })),
  });
  const iterate: Method<Remembered>["iterate"] = async (f, from, memory) => {
    const pairs = memory.pairs.filter(({ s, y }) => dot(s.data, y.data) > 0);
    const learnt = pairs.length > 0;
    const line = new Line(f, from, times(inverseHessianTimes(pairs, from.gradient), -1));
    const found = await strongWolfe(line, learnt ? 1 : Math.min(1, 1 / norm1(from.gradient)), { c1, c2 });
    if ("stuck" in found) return learnt ? iterate(f, from, init(from.x.length)) : found;
    const { point, length } = found.trial;
    const s = minus(point.x, from.x);
    const y = minus(point.gradient, from.gradient);
    // Without the Wolfe conditions, or within rounding, the pair may say nothing true about the Hessian.
    if (dot(s, y) <= f.roundoff * norm(s) * norm(y)) return { point, length, memory };
    return { point, length, memory: { pairs: [...memory.pairs.slice(1), { s: vectorOf(s), y: vectorOf(y) }] } };
  };
  return {
    kind: "method",
    describe: `lbfgs(history ${history}, c1 ${c1}, c2 ${c2})`,
    init,
    iterate,
  };
}

/** Algorithm 7.4, the two loops. To begin with, B is s·y / y·y of the newest pair, (7.20). */
function inverseHessianTimes(pairs: readonly Pair[], gradient: Vector): Vector {
  const newest = pairs.at(-1);
  if (!newest) return gradient;
  let q = gradient;
  const alphas = pairs.toReversed().map(({ s, y }) => {
    const alpha = dot(s.data, q) / dot(s.data, y.data);
    q = plus(q, y.data, -alpha);
    return alpha;
  });
  let r = times(q, dot(newest.s.data, newest.y.data) / dot(newest.y.data, newest.y.data));
  for (const [k, { s, y }] of pairs.entries()) {
    const beta = dot(y.data, r) / dot(s.data, y.data);
    r = plus(r, s.data, alphas[pairs.length - 1 - k]! - beta);
  }
  return r;
}
