/** Sums taken apart: what is left of them, and that they are still the sums. */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/compile.ts";
import { gradients, input, type Tensor, variance } from "../../src/ir/index.ts";
import { jit } from "../../src/run/jit.ts";
import { backends } from "../backends.ts";
import { naive } from "../ir/naive.ts";
import { distance, draw } from "../ir/numbers.ts";

const shapes = [
  [4, 3, 5],
  [1, 3, 1],
] as const;
type Sum = (x: Tensor, c: Tensor) => Tensor;
const over = [0, 2];

/** x: f64[4, 3, 5], c: f64[1, 3, 1], the same along what is summed. */
const rules: Record<string, { sum: Sum; reads?: boolean }> = {
  "a factor": { sum: (x, c) => x.square().mul(c).sum(over) },
  "factors among others": { sum: (x, c) => c.mul(x.exp()).mul(c.exp()).mul(x).sum(over) },
  "a divisor": { sum: (x, c) => x.exp().div(c.add(3)).sum(over) },
  "an addend": { sum: (x, c) => x.exp().add(c).sum(over) },
  "nothing but it": {
    sum: (x, c) =>
      c
        .add(x.mul(0).detach())
        .add(c.expand([4, 3, 5]))
        .sum(over),
  },
  "numbers less their mean": {
    sum: (x, c) =>
      x
        .sub(x.mean(over, { keep: true }))
        .mul(c)
        .sum(over),
    reads: false,
  },
  "numbers and their mean": {
    sum: (x, c) =>
      x
        .add(x.mean(over, { keep: true }))
        .mul(c)
        .sum(over),
  },
  "numbers less the mean of others": {
    sum: (x, c) =>
      x
        .exp()
        .sub(x.mean(over, { keep: true }))
        .mul(c)
        .sum(over),
  },
  "numbers less another mean": {
    sum: (x, c) =>
      x
        .sub(x.mean([2], { keep: true }))
        .mul(c)
        .sum(over),
  },
  "numbers less half their mean": { sum: (x) => x.sub(x.mean(over, { keep: true }).mul(0.5)).sum(over) },
};

describe.each(Object.entries(rules))("a sum with %s", (_, { sum, reads = true }) => {
  const args = shapes.map((s, k) => draw([...s], "f64", -1, 1, 5 * k));
  const xs = shapes.map((s) => input([...s], "f64"));
  const graph = ([x, c]: readonly Tensor[]) => {
    const y = sum(x!, c!);
    return [y, ...gradients(y.exp().sum(), [x!, c!])];
  };
  const want = naive(graph(xs), new Map(xs.map((x, k) => [x, [...args[k]!.data]])));

  test("and its gradients are those of plain loops", async () => {
    const got = await jit((...xs: Tensor[]) => graph(xs), { backend: "js" })(...args);
    got.forEach((y, k) => expect(distance(y.data, want[k]!)).toBeLessThan(1e-12));
  });
  test(reads ? "reads them" : "reads nothing: it is 0", () => {
    const { kernels } = compile({ state: [], resident: xs, feeds: [], outputs: [sum(xs[0]!, xs[1]!)] });
    const summed = kernels.some(
      (k) => k.kind !== "contraction" && (k.kind === "accumulate" || k.reductions.length > 0),
    );
    expect(summed).toBe(reads);
  });
});

/** (x − mean) / deviation · w + b by channels, with slopes by all of them for Σ y · c. */
function normalised([x, w, b, c]: readonly Tensor[]) {
  const centred = x!.sub(x!.mean(over, { keep: true }));
  const y = centred
    .div(variance(x!, over, { keep: true }).add(1e-5).sqrt())
    .mul(w!)
    .add(b!);
  return gradients(y.mul(c!).sum(), [x!, w!, b!]);
}
const of = [
  [4, 3, 5],
  [1, 3, 1],
  [1, 3, 1],
  [4, 3, 5],
];

test("of a batch norm's gradient four sums are left: mean, variance and two of what comes back", () => {
  const xs = of.map((s) => input(s));
  const { kernels } = compile({ state: [], resident: xs, feeds: [], outputs: normalised(xs) });
  const sums = kernels.map((k) => (k.kind === "nest" ? k.reductions.length : 1));
  expect(sums.reduce((a, b) => a + b)).toBe(4);
});

test.each(backends)("a batch norm's gradient on %s is that of plain loops", async (backend) => {
  const args = of.map((s, k) => draw(s, "f64", -1, 1, 7 * k));
  const xs = of.map((s) => input(s, "f64"));
  const want = naive(normalised(xs), new Map(xs.map((x, k) => [x, [...args[k]!.data]])));
  const got = await jit((...xs: Tensor[]) => normalised(xs), { backend })(...args);
  got.forEach((y, k) => expect(distance(y.data, want[k]!)).toBeLessThan(1e-12));
});
