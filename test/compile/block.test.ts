/** How many slices make a block: enough for a product that waits for its factor, but of a band that is mostly other work. */
import { expect, test } from "vitest";
import { compile } from "../../src/compile/compile.ts";
import { input, type Tensor } from "../../src/ir/index.ts";

/** The rows of a block of the band that a product of 64 rows with a matrix of 1568 × 10 is in. */
function rows(before: (x: Tensor) => Tensor, width = 1568): number {
  const [x, w] = [input([64, width]), input([1568, 10])];
  const { bands } = compile(
    { state: [], resident: [w], feeds: [x], outputs: [before(x).matmul(w).exp()] },
    { banded: true },
  );
  const band = bands.find((b) => b.members.some((m) => m.kernel.kind === "contraction"))!;
  return (band.perBlock * 64) / band.slices;
}

test("a small product alone is one block", () => expect(rows((x) => x)).toBe(64));

test("a band that is mostly elementwise and sums is cut, though a small product is in it", () =>
  expect(rows((x) => x.exp().reshape([64, 1568, 40]).exp().sum([2]), 1568 * 40)).toBe(16));
