/** How many slices make a block: enough for a product that waits for its factor, but of a band that is mostly other work. */
import { describe, expect, test } from "vitest";
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

test("work beside a product leaves its blocks as they are, where the product is most of it", () => {
  const [w, m, x, g] = [input([128, 784]), input([128, 784]), input([512, 784]), input([512, 128])];
  const next = g.transpose().matmul(x).mul(0.1).add(m.mul(0.9));
  const state = [
    { now: w, next: w.sub(next) },
    { now: m, next },
  ];
  const { bands } = compile({ state, resident: [], feeds: [x, g], outputs: [] }, { banded: true });
  const [band] = bands;
  expect(band!.members.map((member) => member.kernel.kind)).toContain("contraction");
  expect(band!.members.length).toBeGreaterThan(1);
  expect((band!.perBlock * 128) / band!.slices).toBe(64);
});

describe("the gradient of a weight of few rows and its update", () => {
  /** The bands of the last step: how their products are cut, and into how many blocks. */
  const cuts = (batch: number, rows: number, columns: number) => {
    const [w, x, g] = [input([rows, columns]), input([batch, columns]), input([batch, rows])];
    const state = [{ now: w, next: w.sub(g.transpose().matmul(x)) }];
    const { bands } = compile({ state, resident: [], feeds: [x, g], outputs: [] }, { banded: true });
    return bands.map((b) => `${b.members.map((m) => m.cut?.axis).join(" ")}: ${b.blocks}`);
  };

  test("go together, rows by rows, where they are little work", () =>
    expect(cuts(512, 128, 784)).toEqual([expect.stringMatching(/^m .*: 2$/)]));

  test("go together where rows make as many blocks", () =>
    expect(cuts(4096, 784, 784)).toEqual([expect.stringMatching(/^m .*: 4$/)]));

  test("are apart where they are much work: the gradient has blocks of columns", () => {
    const [gradient, update] = cuts(4096, 128, 784);
    expect(gradient).toBe("n: 7");
    expect(update).toMatch(/: [2-9]$/);
  });
});
