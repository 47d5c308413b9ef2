/** Parts that are computed again: the same bits as without, and what they make is not kept in between. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compile, type Trace } from "../../src/compile/compile.ts";
import { type Buffer, buffersOf, type Program } from "../../src/compile/program.ts";
import { gradients, input, type Tensor, value } from "../../src/ir/index.ts";
import { type Shape, size } from "../../src/ir/shape.ts";
import { recompute } from "../../src/ir/tensor.ts";
import { bytesOf } from "../../src/ir/value.ts";
import { Run } from "../../src/run/run.ts";
import { backends } from "../backends.ts";
import { choices, combine } from "./graphs.ts";

type Mark = <T>(body: () => T) => T;
const plain: Mark = (body) => body();

/** Five tanh layers of 64 → 256 → 64, each of them marked. */
function deep(mark: Mark): Trace {
  const x = input([128, 64]);
  const ws = Array.from({ length: 5 }, () => [input([64, 256]), input([256, 64])] as const);
  const y = ws.reduce((y, [v, w]) => mark(() => y.add(y.matmul(v).tanh().exp().matmul(w))), x);
  const loss = y.square().mean();
  const all = ws.flat();
  const next = gradients(loss, all).map((g, k) => all[k]!.sub(g.mul(0.1)));
  return { state: all.map((now, k) => ({ now, next: next[k]! })), resident: [], feeds: [x], outputs: [loss] };
}

/** The most that temporaries take at once, by a walk over the kernels. */
function live({ kernels, named }: Program): number {
  const life = new Map<Buffer, { first: number; last: number }>();
  kernels.forEach((kernel, n) => {
    const { reads, writes } = buffersOf(kernel, named);
    for (const b of [...reads, ...writes]) {
      if (b.role === "temporary") life.set(b, { first: life.get(b)?.first ?? n, last: n });
    }
  });
  const at = kernels.map((_, n) =>
    [...life].reduce((sum, [b, { first, last }]) => sum + (first <= n && n <= last ? bytesOf(b) : 0), 0),
  );
  return Math.max(...at);
}

describe("a deep network of marked layers", () => {
  const [once, again] = [compile(deep(plain)), compile(deep(recompute))];

  test("keeps what goes between them, and of what is inside one layer's at a time", () => {
    const wide = 128 * 256 * 4;
    expect(live(once)).toBeGreaterThan(2 * 5 * wide); // tanh and exp of every layer
    expect(live(again)).toBeLessThan(live(once) / 2);
    expect(again.temporaryBytes).toBeLessThan(once.temporaryBytes / 2);
  });

  test("in bands as well", () => {
    const [once, again] = [compile(deep(plain), { banded: true }), compile(deep(recompute), { banded: true })];
    const bytes = (p: Program) => p.temporaryBytes + p.scratchBytes;
    expect(bytes(again)).toBeLessThan(0.6 * bytes(once));
  });

  test("each of its kernels is there once more, and nothing else", () => {
    const products = (p: Program) => p.kernels.filter((k) => k.kind === "contraction").length;
    expect(products(once)).toBe(6 * 5 - 1); // forward and two gradients for each weight, but none by x
    expect(products(again)).toBe(products(once) + 5); // of the two products in a layer gradients want the first alone
  });
});

test("where there is no gradient nothing is computed twice", () => {
  const [x, w] = [input([8, 8]), input([8, 8])];
  const of = (mark: Mark) =>
    compile({ state: [], resident: [], feeds: [x, w], outputs: [mark(() => x.matmul(w).tanh()).matmul(w)] });
  expect(of(recompute).kernels.length).toBe(of(plain).kernels.length);
});

test("of kernels that also make what is kept, only what gradients want is made again", () => {
  const [x, w, v] = [input([64, 16]), input([16, 32]), input([32, 32])];
  const written = (mark: Mark) => {
    const [kept, y] = mark(() => {
      const h = x.matmul(w);
      return [h.tanh(), h.exp().matmul(v)] as const; // tanh and exp are one kernel
    });
    const loss = kept.matmul(v).add(y).square().mean();
    const outputs = [loss, ...gradients(loss, [w, v])];
    const { kernels, named } = compile({ state: [], resident: [], feeds: [x, w, v], outputs });
    return kernels.flatMap((k) => buffersOf(k, named).writes);
  };
  const again = written(recompute);
  expect(again.length).toBe(written(plain).length + 2); // h and its exp
  expect(new Set(again).size).toBe(again.length);
});

test("nothing is made again for a gradient that is taken while the part is being computed", () => {
  const [x, w, v] = [input([64, 16]), input([16, 32]), input([32, 32])];
  const before = (mark: Mark) => {
    const y = mark(() => {
      const h = x.matmul(w).tanh();
      const [slope] = gradients(h.matmul(v).exp().sum(), [w]) as [Tensor];
      return x.matmul(w.sub(slope)).tanh().exp().matmul(v);
    });
    const loss = y.square().mean();
    const outputs = [loss, ...gradients(loss, [w, v])];
    const { kernels, named } = compile({ state: [], resident: [], feeds: [x, w, v], outputs });
    const at = kernels.findIndex((k) => buffersOf(k, named).writes.some((b) => b.tensor === loss));
    return { loss: at, all: kernels.length };
  };
  const [once, again] = [before(plain), before(recompute)];
  expect(again.all).toBeGreaterThan(once.all);
  expect(again.loss).toBe(once.loss);
});

test("a part within a part belongs to the outer one", () => {
  const inner = deep((body) => recompute(() => recompute(body)));
  expect(compile(inner).kernels.length).toBe(compile(deep(recompute)).kernels.length);
});

test.each(backends)(
  "state that a part reads and replaces is the old one where it is computed again: %s",
  async (backend) => {
    const of = async (mark: Mark) => {
      const some = (n: number, m: number) =>
        value(
          [n, m],
          Array.from({ length: n * m }, (_, k) => Math.sin(k)),
        );
      const run = await Run.start({ w: some(8, 8), v: some(8, 8), scale: value([], [1]) }, { backend, threads: 1 });
      const x = some(16, 8);
      const loop = run.loop(
        ({ w, v, scale }, _: object, { x }) => {
          const [h, next] = mark(() => {
            const next = scale.mul(x.square().mean());
            const inner = x.matmul(w).add(scale).tanh(); // reads the old one before, the rest reads the new one after
            return [inner.matmul(w).mul(next).tanh().exp(), next] as const;
          });
          const loss = h.matmul(v).square().mean();
          const [dw, dv] = gradients(loss, [w, v]) as [Tensor, Tensor];
          const state = { w: w.sub(dw.mul(0.1)), v: v.sub(dv.mul(0.1)), scale: next };
          return { state, output: { loss } };
        },
        { data: { x } },
      );
      await loop.take(3, {});
      return Object.values(run.state()).map((v) => Buffer.from(v.data.buffer).toString("hex"));
    };
    expect(await of(recompute)).toEqual(await of(plain));
  },
);

/** Three steps of gradient descent on a random graph, whose middle may be marked. → all weights and losses, in bits. */
async function descent(
  backend: "js" | "native",
  shapes: readonly Shape[],
  plan: Parameters<typeof combine>[1][],
  mark: Mark,
) {
  const start = shapes.map((s, j) =>
    value(
      s,
      Array.from({ length: size(s) }, (_, k) => Math.sin(7 * j + k + 1)),
    ),
  );
  const run = await Run.start({ start }, { backend, threads: 1 });
  const loop = run.loop(({ start }) => {
    const known: Tensor[] = [...start];
    const grow = (some: typeof plan) => some.forEach((choice) => known.push(combine(known, choice)));
    grow(plan.slice(0, 2));
    mark(() => grow(plan.slice(2, 6)));
    mark(() => grow(plan.slice(6, 9)));
    grow(plan.slice(9));
    const loss = known
      .slice(-4)
      .map((y) => y.square().sum())
      .reduce((a, b) => a.add(b));
    return { state: { start: gradients(loss, start).map((g, k) => start[k]!.sub(g.mul(0.01))) }, output: { loss } };
  });
  const { output } = await loop.take(3, {});
  return [output.loss, ...run.state().start].map((v) => Buffer.from(v.data.buffer).toString("hex"));
}

test.each(backends)("the same bits, on random graphs: %s", async (backend) => {
  const shape = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(fc.array(shape, { minLength: 1, maxLength: 3 }), choices(12), async (shapes, plan) => {
      const of = (mark: Mark) => descent(backend, shapes, plan, mark);
      expect(await of(recompute)).toEqual(await of(plain));
    }),
    { numRuns: backend === "js" ? 30 : 4, seed: 3 },
  );
});
