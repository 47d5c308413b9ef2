/** Loops that ask for memory early: for which, and that what they make of lengths of every kind is the same. */
import { describe, expect, test } from "vitest";
import { compile, type Trace } from "../../src/compile/compile.ts";
import { input, softmax, type Tensor } from "../../src/ir/index.ts";
import { value } from "../../src/ir/value.ts";
import { printC } from "../../src/print/c.ts";
import { jit } from "../../src/run/jit.ts";
import { backends } from "../backends.ts";
import { distance } from "../ir/numbers.ts";

const traced = (f: (...x: Tensor[]) => Tensor, ...shapes: (readonly number[])[]): Trace => {
  const resident = shapes.map((s) => input(s));
  return { state: [], resident, feeds: [], outputs: [f(...resident)] };
};

/** How often each kernel asks, by such words; for a target with vectors of so many lanes. */
const asked = (trace: Trace, lanes = 16, words = /^ +DH_(OWN_)?AHEAD\(/gm) =>
  printC(compile(trace, { banded: true }), lanes).units.flatMap(({ text }) =>
    text.split(/^(?:static )?void dh_k\d+\(/m).flatMap((k, n) => (n ? [k.match(words)?.length ?? 0] : [])),
  );

const sum = (a: Tensor, b: Tensor) => a.add(b);

test.each([16, 8, 4])("with %i lanes each walk is asked for once, of what is read and what is written", (lanes) =>
  expect(asked(traced(sum, [512, 300], [512, 300]), lanes)).toEqual([3]),
);
test("what is written is asked for as one's own, also where it is read before", () => {
  const [w, g] = [input([512, 300]), input([512, 300])];
  const own = (trace: Trace) => asked(trace, 16, /^ +DH_OWN_AHEAD\(/gm)[0];
  expect(own(traced(sum, [512, 300], [512, 300]))).toBe(1);
  const update: Trace = { state: [{ now: w, next: w.sub(g) }], resident: [g], feeds: [], outputs: [] };
  expect([asked(update), own(update)]).toEqual([[2], 1]);
});
test("neighbours of an element are on the same walk", () =>
  expect(asked(traced((x) => x.shrink([[1, 20000]]).add(x.shrink([[0, 19999]])), [20000]))).toEqual([2]));
test("parts of one tensor that lie far apart are walks of their own", () =>
  expect(asked(traced((x) => x.shrink([[0, 10000]]).add(x.shrink([[10000, 20000]])), [20000]))).toEqual([3]));
test("what is small is near", () => expect(asked(traced(sum, [1000], [1000]))).toEqual([0]));
test("so is a row that all others are added to", () => expect(asked(traced(sum, [512, 300], [1, 300]))).toEqual([2]));
test("a loop that reads across memory asks for nothing", () =>
  expect(asked(traced((a, b) => a.add(b.permute([1, 0])), [300, 128], [128, 300]))).toEqual([0]));
test("nor does one with a mask, whose lanes are not as wide", () => {
  const [x, y, mask] = [input([512, 300]), input([512, 300]), input([512, 300], "bool")];
  const of = (value: Tensor) => asked({ state: [], resident: [x, y, mask], feeds: [], outputs: [value] });
  expect(of(y.lt(0).where(x, y))).toEqual([3]);
  expect(of(mask.where(x, y))).toEqual([0]);
});
test("where roots are taken apart, lines from memory are brought to the second-level cache before", () => {
  const far = (f: (a: Tensor, b: Tensor) => Tensor, lanes: number, rows = 4096) =>
    printC(compile(traced(f, [rows, 300], [rows, 300]), { banded: true }), lanes).units.flatMap(
      ({ text }) => text.match(/^ +DH_FAR_AHEAD\(p\d/gm) ?? [],
    ).length;
  const quotient = (a: Tensor, b: Tensor) => a.div(b.sqrt().add(1));
  expect(far(quotient, 16)).toBe(3);
  expect(far(quotient, 8)).toBe(0);
  expect(far(sum, 16)).toBe(0);
  expect(far(quotient, 16, 512)).toBe(0); // no more than caches hold
});
test("what a block makes for itself is near, where a second-level cache holds all of it", () => {
  const made = (rows: number, columns: number) => {
    const trace = traced((x) => softmax(x, 1), [rows, columns]);
    const { named, kernels, scratchBytes } = compile(trace, { banded: true });
    expect([...named.values()].some((b) => b.role === "scratch")).toBe(true);
    expect(asked(trace)).toHaveLength(kernels.length);
    return { asks: Math.max(...asked(trace)), scratchBytes };
  };
  const [short, long] = [made(8192, 256), made(8, 1 << 20)];
  expect(short.scratchBytes).toBeLessThan(1 << 21);
  expect(short.asks).toBe(1);
  expect(long.scratchBytes).toBeGreaterThan(1 << 21);
  expect(long.asks).toBe(2);
});

describe.each(backends)("on %s", (backend) => {
  test.each([16384, 16387, 160007])("an average with momentum of %i elements", async (n) => {
    const momentum = (p: Tensor, m: Tensor, g: Tensor) => {
      const next = m.mul(0.5).add(g);
      return { p: p.sub(next.mul(0.25)), m: next };
    };
    const step = jit(momentum, { backend });
    const of = (seed: number) =>
      value(
        [n],
        Float32Array.from({ length: n }, (_, k) => ((k * seed) % 1009) / 16),
      );
    const [p, m, g] = [of(7), of(11), of(13)];
    const made = await step(p, m, g);
    const next = m.data.map((x, k) => x / 2 + g.data[k]!); // all of it exact in f32
    expect(distance(made.m.data, next)).toBe(0);
    const moved = p.data.map((x, k) => x - next[k]! / 4);
    expect(distance(made.p.data, moved)).toBe(0);
  });
});
