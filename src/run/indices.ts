/** Indices that come in as data, which native code trusts: they are looked at before it sees them. */
import type { Check } from "../compile/program.ts";
import { fail } from "../ir/fail.ts";
import { type Shape, size } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import type { Backend } from "./backend.ts";

/**
 * Indices among these inputs must lie in range before native code uses them. `known` says from how many numbers at the
 * front nothing is to be found.
 */
export function check(
  checks: readonly Check[],
  inputs: readonly Tensor[],
  values: readonly Value[],
  known: Backend["indices"] = () => 0,
): void {
  for (const c of checks) {
    const { data } = values[inputs.indexOf(c.input)] ?? {};
    if (!data) continue;
    const at = firstOutside(data, c, known(data, c.n));
    if (at < 0) continue;
    const { input: t, n, what } = c;
    fail(`${what}: ${t.arg || "an index"} holds ${data[at]} at ${placeOf(at, t.shape)}; it must lie in 0 … ${n - 1}`);
  }
}

function firstOutside(data: Value["data"], { input, part, n, except }: Check, from: number): number {
  for (let at = from; at < data.length; at++) {
    const x = data[at]!;
    if (!(x >= 0 && x < n) && x !== except && within(at, input.shape, part)) return at;
  }
  return -1;
}

/** Whether element `at`, of a tensor of this shape or of several in a row, lies in [from, to) on each axis. */
function within(at: number, shape: Shape, part: Check["part"]): boolean {
  let rest = at;
  for (let k = shape.length - 1; k >= 0; k--) {
    const i = rest % shape[k]!;
    if (i < part[k]![0] || i >= part[k]![1]) return false;
    rest = (rest - i) / shape[k]!;
  }
  return true;
}

/** Where element `at` is, of a tensor of this shape or of several in a row: of those the place in its own. */
function placeOf(at: number, shape: Shape): string {
  if (shape.length < 2) return `position ${at}`;
  let rest = at % size(shape);
  const index = shape.toReversed().map((n) => {
    const i = rest % n;
    rest = (rest - i) / n;
    return i;
  });
  const step = Math.floor(at / size(shape));
  return `[${index.reverse().join(", ")}]${step > 0 ? ` of step ${step}` : ""}`;
}
