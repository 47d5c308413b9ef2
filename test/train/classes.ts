/** Data that a small net learns, for tests of training. */
import { value } from "../../src/ir/value.ts";

/** Three classes in three dimensions, with a seam between them that a small net learns. */
export function classes(n: number, phase = 0) {
  const xs = Float32Array.from({ length: n * 3 }, (_, k) => Math.sin((k + phase) * 1.7 + (k % 7)));
  const label = (i: number) => (xs[3 * i]! + xs[3 * i + 1]! > 0.2 ? 2 : xs[3 * i + 2]! > 0 ? 1 : 0);
  return {
    x: value([n, 3], xs),
    y: value(
      [n],
      Int32Array.from({ length: n }, (_, i) => label(i)),
      "i32",
    ),
  };
}
