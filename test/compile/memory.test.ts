/** The plan: no two temporaries that are alive at once share a byte. Lifetimes are worked out here again. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compile, peakBytes, type Trace } from "../../src/compile/compile.ts";
import { type Buffer, buffersOf, type Program } from "../../src/compile/program.ts";
import { dtypes } from "../../src/ir/dtype.ts";
import { gradients, input, literal, type Tensor, value } from "../../src/ir/index.ts";
import { size } from "../../src/ir/shape.ts";
import { choices, combine } from "./graphs.ts";

const bytes = (b: Buffer) => dtypes[b.dtype].bytes * size(b.shape);

/** Pairs of temporaries that share a byte while both are still needed, and those that do not lie in the arena. */
function mistakes(p: Program): string[] {
  const touched = p.kernels.map((k) => {
    const { reads, writes } = buffersOf(k, p.named);
    return [...reads, ...writes].filter((b) => b.role === "temporary");
  });
  const all = [...new Set(touched.flat())];
  const out = all
    .filter((b) => b.at % 64 || b.at < 0 || b.at + bytes(b) > p.temporaryBytes)
    .map((b) => `${b.name} is outside`);
  for (const a of all) {
    for (const b of all) {
      if (a.name >= b.name || a.at + bytes(a) <= b.at || b.at + bytes(b) <= a.at) continue;
      // Each must be done with before the other begins.
      const steps = (x: Buffer) => touched.flatMap((list, n) => (list.includes(x) ? [n] : []));
      const [one, other] = [steps(a), steps(b)];
      if (Math.max(...one) >= Math.min(...other) && Math.max(...other) >= Math.min(...one))
        out.push(`${a.name} and ${b.name}`);
    }
  }
  return out;
}

const graph = fc.tuple(
  fc.array(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  choices(16),
);

test.each([false, true])("temporaries that live at once lie apart (everything kept: %s)", (everything) => {
  fc.assert(
    fc.property(graph, ([shapes, plan]) => {
      const xs = shapes.map((s) => input(s));
      const known: Tensor[] = [...xs];
      for (const choice of plan) known.push(combine(known, choice));
      const loss = known
        .slice(-3)
        .map((y) => y.square().sum())
        .reduce((a, b) => a.add(b));
      const next = gradients(loss, xs).map((g, k) => xs[k]!.sub(g.mul(0.1)));
      const trace: Trace = {
        state: xs.map((now, k) => ({ now, next: next[k]! })),
        resident: [],
        feeds: [],
        outputs: [loss],
      };
      const program = compile(trace, { everything });
      expect(mistakes(program)).toEqual([]);
      const places = program.state.map((b) => [b.at, b.at + bytes(b)] as const);
      for (const [k, [from]] of places.entries()) expect(from).toBeGreaterThanOrEqual(places[k - 1]?.[1] ?? 0);
      expect(program.stateBytes).toBeGreaterThanOrEqual(places.at(-1)![1]);
    }),
    { numRuns: 150, seed: 12 },
  );
});

test("an arena is used again: a chain of products needs room for two of them, not for ten", () => {
  const x = input([64, 64]);
  let y: Tensor = x;
  for (let n = 0; n < 10; n++) y = y.matmul(x);
  const program = compile({ state: [], resident: [], feeds: [x], outputs: [y] });
  expect(program.temporaryBytes).toBe(2 * 64 * 64 * 4);
});

describe("the peak", () => {
  test("is state, temporaries, resident data and literals, in bytes", () => {
    const [w, data, feed] = [input([10, 3]), input([100, 10]), input([5], "i32")];
    const scale = literal(value([3], [1, 2, 3]));
    const next = w.add(data.gather(feed).transpose().matmul(data.gather(feed).matmul(w).tanh().mul(scale)));
    const program = compile({ state: [{ now: w, next }], resident: [data], feeds: [feed], outputs: [] });
    expect(program.stateBytes).toBe(128); // 120, to full lines of 64
    expect(peakBytes(program)).toBe(128 + program.temporaryBytes + 4000 + 12);
  });

  test("the order of kernels is one in which every temporary is written before it is read", () => {
    const [x, w] = [input([8, 8]), input([8, 8])];
    const loss = x.matmul(w).tanh().matmul(w).square().mean();
    const program = compile({ state: [], resident: [], feeds: [x, w], outputs: [loss, ...gradients(loss, [w])] });
    const written = new Set<Buffer>();
    for (const k of program.kernels) {
      const { reads, writes } = buffersOf(k, program.named);
      for (const b of reads)
        if (b.role === "temporary" && !writes.includes(b)) expect(written.has(b), b.name).toBe(true);
      for (const b of writes) written.add(b);
    }
  });
});

test("indices have 32 bits: what is in memory, or computed by an index, has a largest size; the terms of a product have none", () => {
  const of = (output: Tensor, ...feeds: Tensor[]) => compile({ state: [], resident: [], feeds, outputs: [output] });
  const half = 2 ** 16;
  const [a, b] = [input([2048, 1024]), input([1024, 2048])];
  expect(() => of(a.matmul(b), a, b)).not.toThrow(); // 2^32 products, none of them anywhere
  const long = input([half, half]);
  expect(() => of(long.sum(), long)).toThrow("f32[65536,65536]");
  const [x, y] = [input([half, 1]), input([half])];
  expect(() =>
    of(
      x
        .mul(y)
        .exp()
        .reshape([half * half])
        .slice(0, 0, 9),
      x,
      y,
    ),
  ).not.toThrow();
  expect(() =>
    of(
      x
        .mul(y)
        .exp()
        .reshape([half * half])
        .flip(0)
        .slice(0, 0, 9),
      x,
      y,
    ),
  ).toThrow("2^31 − 1");
});
