/**
 * State in place: whatever a step makes of the old state, every reader of the old numbers sees them. Hazards by name,
 * and random steps against plain loops that keep old and new apart.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { peakBytes } from "../../src/compile/compile.ts";
import { iota, softmax, type Tensor, type Value, valueAndGrad } from "../../src/ir/index.ts";
import type { BackendName } from "../../src/run/backend.ts";
import { Run } from "../../src/run/run.ts";
import * as tree from "../../src/tree.ts";
import { hasNative } from "../backends.ts";
import { naive } from "../ir/naive.ts";
import { distance, draw } from "../ir/numbers.ts";

type State = Record<string, Value>;
type Traced = Record<string, Tensor>;
type Step = (s: Traced) => Traced;

/** The state after some steps in one call, and after as many steps in plain loops. */
async function both(state: State, step: Step, steps: number, backend: BackendName) {
  const run = await Run.start(state, { backend });
  let traced: { now: Traced; next: Traced } | undefined;
  const loop = run.loop((now: Traced) => {
    const next = step(now);
    traced = { now, next };
    return { state: next, output: {} };
  });
  await loop.take(steps, {});
  const { now, next } = traced!;
  let numbers = Object.keys(state).map((k) => Array.from(state[k]!.data));
  for (let n = 0; n < steps; n++) {
    const given = new Map(Object.keys(state).map((k, at) => [now[k]!, numbers[at]!]));
    numbers = naive(
      Object.keys(state).map((k) => next[k]!),
      given,
    );
  }
  const program = loop.compiled({}).program;
  return { ours: Object.values(run.state()).map((v) => Array.from(v.data)), want: numbers, program };
}

const square = (name: string, from = 0) => ({ [name]: draw([5, 5], "f64", -1, 1, from) });
const ab = { ...square("a"), ...square("b", 31) };
const late = (x: Tensor) => x.tanh().matmul(x.cos()).mul(0.3); // comes late: a product of its own

const hazards: Record<string, [State, Step]> = {
  "two that change places": [ab, ({ a, b }) => ({ a: b!, b: a! })],
  "three in a circle": [{ ...ab, ...square("c", 7) }, ({ a, b, c }) => ({ a: b!, b: c!, c: a! })],
  "one stays": [ab, ({ a, b }) => ({ a: a!, b: b!.add(a!) })],
  "each from both": [ab, ({ a, b }) => ({ a: a!.add(b!).mul(0.5), b: a!.sub(b!).mul(0.5) })],
  shifted: [
    ab,
    ({ a, b }) => ({
      a: a!
        .pad([
          [1, 0],
          [0, 0],
        ])
        .shrink([
          [0, 5],
          [0, 5],
        ]),
      b: b!.flip(0),
    }),
  ],
  "turned over": [ab, ({ a, b }) => ({ a: a!.transpose(), b: b!.flip([0, 1]).add(a!) })],
  "less its mean": [ab, ({ a, b }) => ({ a: a!.sub(a!.mean(1, { keep: true })), b: b!.sub(b!.mean()) })],
  "reduced and spread": [
    ab,
    ({ a, b }) => ({ a: a!.amax(0, { keep: true }).expand([5, 5]), b: b!.div(b!.square().sum().add(1)) }),
  ],
  "the old one after the new": [
    ab,
    ({ a, b }) => {
      const a1 = a!.mul(0.9);
      return { a: a1, b: late(a!).add(a1).add(b!) };
    },
  ],
  "the new one feeds the other, the old one too": [
    ab,
    ({ a, b }) => {
      const b1 = b!.mul(0.5).add(a!);
      return { a: a!.sub(late(b1)).sub(late(b!)), b: b1 };
    },
  ],
  "a product with itself": [ab, ({ a, b }) => ({ a: a!.matmul(a!).mul(0.5), b: b!.matmul(a!.transpose()).mul(0.5) })],
  "rows gathered, some twice": [
    ab,
    ({ a, b }) => ({ a: a!.gather(iota(5).mul(3).div(4)), b: b!.gather(iota(5).div(2)).add(b!) }),
  ],
  "rows scattered, some twice": [
    ab,
    ({ a, b }) => ({ a: a!.add(a!.scatter(iota(5).div(2), 5).mul(0.1)), b: b!.scatter(iota(5).div(2), 5) }),
  ],
  "one tensor for two": [
    ab,
    ({ a, b }) => {
      const c = a!.add(b!).mul(0.4);
      return { a: c, b: c };
    },
  ],
  "one is the other turned": [
    ab,
    ({ a, b }) => {
      const c = a!.add(b!).mul(0.4);
      return { a: c, b: c.transpose() };
    },
  ],
  "a softmax of its rows": [ab, ({ a, b }) => ({ a: softmax(a!), b: softmax(b!, 0).add(softmax(a!)) })],
  "nothing in it": [{ ...ab, e: draw([0, 3], "f64") }, ({ a, b, e }) => ({ a: b!, b: a!.add(e!.sum()), e: e!.mul(2) })],
  "a constant": [ab, ({ a, b }) => ({ a: a!.mul(0).add(1), b: b!.add(a!) })],
  "backward needs the old weights": [
    {
      w1: draw([4, 6], "f64"),
      w2: draw([6, 3], "f64", -1, 1, 9),
      m1: draw([4, 6], "f64", 0, 1),
      m2: draw([6, 3], "f64", 0, 1),
    },
    (s) => {
      const x = iota(8, "f64").mul(0.1).reshape([2, 4]).sin();
      const [, g] = valueAndGrad((p: Traced) => x.matmul(p.w1!).tanh().matmul(p.w2!).square().mean())({
        w1: s.w1!,
        w2: s.w2!,
      });
      const [m1, m2] = [s.m1!.mul(0.9).add(g.w1!), s.m2!.mul(0.9).add(g.w2!)];
      return { w1: s.w1!.sub(m1.mul(0.1)), w2: s.w2!.sub(m2.mul(0.1)), m1, m2 };
    },
  ],
};

/** What a random step may make of two tensors of 5 × 5. */
const makings: readonly ((x: Tensor, y: Tensor) => Tensor)[] = [
  (x) => x,
  (_, y) => y,
  (x, y) => x.add(y).mul(0.5),
  (x, y) => x.sub(y.mul(0.3)),
  (x) => x.transpose(),
  (x) => x.flip(0),
  (x, y) => x.flip(1).mul(0.5).add(y.mul(0.5)),
  (x) =>
    x
      .pad([
        [0, 1],
        [0, 0],
      ])
      .shrink([
        [1, 6],
        [0, 5],
      ]),
  (x, y) => x.sub(y.mean(0, { keep: true })),
  (x) => x.div(x.square().sum(1, { keep: true }).add(1)),
  (x, y) => x.matmul(y).mul(0.4),
  (x) => x.tanh(),
  (x) => x.gather(iota(5).mul(3).div(4)),
  (x) => x.scatter(iota(5).div(2), 5).mul(0.5),
  (x, y) => x.lt(y).where(x, y.mul(0.7)),
  (x) => x.amax(1, { keep: true }).expand([5, 5]).mul(0.8),
];
const names = ["a", "b", "c", "d"];
const plan = fc.array(fc.record({ f: fc.nat(makings.length - 1), x: fc.nat(30), y: fc.nat(30) }), {
  minLength: 4,
  maxLength: 9,
});

/** Tensors made one from another; the last four are the next state. */
function randomStep(choices: { f: number; x: number; y: number }[]): Step {
  return (s) => {
    const known = names.map((k) => s[k]!);
    for (const { f, x, y } of choices) known.push(makings[f]!(known[x % known.length]!, known[y % known.length]!));
    return Object.fromEntries(names.map((k, at) => [k, known.at(at - 4)!]));
  };
}
const four = (): State => Object.assign({}, ...names.map((k, at) => square(k, 13 * at)));

/** Several steps over states of their own, as one step: one program. */
function together(list: readonly (readonly [State, Step])[]): [State, Step] {
  const prefixed = <T>(x: Record<string, T>, n: number) => Object.entries(x).map(([k, v]) => [`${n} ${k}`, v] as const);
  const state = Object.fromEntries(list.flatMap(([own], n) => prefixed(own, n)));
  const step: Step = (s) =>
    Object.fromEntries(
      list.flatMap(([own, f], n) =>
        prefixed(f(Object.fromEntries(Object.keys(own).map((k) => [k, s[`${n} ${k}`]!]))), n),
      ),
    );
  return [state, step];
}

/** On native, where a program takes a while to compile: all in one. */
async function allOnNative(list: readonly (readonly [State, Step])[], names: readonly string[], most: number) {
  const [state, step] = together(list);
  const { ours, want } = await both(state, step, 3, "native");
  Object.keys(state).forEach((key, at) => {
    const name = `${names[Number.parseInt(key, 10)]}: ${key}`;
    expect(distance(ours[at]!, want[at]!), name).toBeLessThan(most);
  });
}

test.each(Object.entries(hazards))("%s", async (_, [state, step]) => {
  const { ours, want } = await both(state, step, 3, "js");
  expect(distance(ours.flat(), want.flat())).toBeLessThan(1e-13);
});

test.runIf(hasNative)("all of these on native", () => allOnNative(Object.values(hazards), Object.keys(hazards), 1e-13));

test("random steps on js", async () => {
  await fc.assert(
    fc.asyncProperty(plan, async (choices) => {
      const { ours, want } = await both(four(), randomStep(choices), 2, "js");
      expect(distance(ours.flat(), want.flat())).toBeLessThan(1e-11);
    }),
    { numRuns: 200, seed: 5 },
  );
});

test.runIf(hasNative)("random steps on native", () => {
  const plans = fc.sample(plan, { numRuns: 25, seed: 6 });
  return allOnNative(
    plans.map((choices) => [four(), randomStep(choices)]),
    plans.map((p) => JSON.stringify(p)),
    1e-11,
  );
});

describe("an update in the manner of Adam", () => {
  const shapes = { w1: [64, 32], b1: [32], w2: [32, 10], b2: [10] };
  const draws = (most: number): State =>
    Object.fromEntries(Object.entries(shapes).map(([k, s]) => [k, draw(s, "f32", -most, most)]));
  const step = (s: { p: Traced; m: Traced; v: Traced }, f: { x: Tensor; y: Tensor }) => {
    const [loss, g] = valueAndGrad((p: Traced) => {
      const h = f.x.matmul(p.w1!).add(p.b1!).max(0);
      return h.matmul(p.w2!).add(p.b2!).sub(f.y).square().mean();
    })(s.p);
    const m = tree.map((m: Tensor, d: Tensor) => m.mul(0.9).add(d.mul(0.1)), s.m, g) as Traced;
    const v = tree.map((v: Tensor, d: Tensor) => v.mul(0.999).add(d.square().mul(0.001)), s.v, g) as Traced;
    const p = tree.map(
      (p: Tensor, m: Tensor, v: Tensor) => p.sub(m.mul(0.01).div(v.sqrt().add(1e-8))),
      s.p,
      m,
      v,
    ) as Traced;
    return { state: { p, m, v }, output: { loss } };
  };

  test("writes every state where it was, and copies nothing", async () => {
    const run = await Run.start({ p: draws(0.1), m: draws(0), v: draws(0) }, { backend: "js" });
    const loop = run.loop(step);
    const { program } = loop.compiled({ x: draw([1, 16, 64], "f32"), y: draw([1, 16, 10], "f32") });
    const places = new Map<number, number>(); // how often a kernel writes a place of the state
    for (const k of program.kernels) {
      const stores = k.kind === "contraction" ? [k.c.buffer] : k.stores.map((s) => s.buffer);
      for (const b of stores) if (b.role === "state") places.set(b.at, (places.get(b.at) ?? 0) + 1);
    }
    expect([...places.values()]).toEqual(Array(12).fill(1));
    const copies = program.kernels.filter((k) => k.kind === "nest" && k.stores.every((s) => s.value.op === "load"));
    expect(copies).toEqual([]);
    // Gradients, activations: not a second set of moments.
    const parameterBytes = 4 * (64 * 32 + 32 + 32 * 10 + 10);
    expect(program.temporaryBytes).toBeLessThan(parameterBytes + 4 * 3 * 16 * (32 + 10) + 64 * 16);
    expect(peakBytes(program)).toBe(program.stateBytes + program.temporaryBytes);
  });
});
