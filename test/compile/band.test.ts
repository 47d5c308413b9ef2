/**
 * Bands: what threads do at the same time must not meet in memory, and what is read must have been made. Every element
 * that every kernel touches is worked out here again, from the expressions, and walked as a team would walk it.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Band, Member } from "../../src/compile/band.ts";
import { compile, type Trace } from "../../src/compile/compile.ts";
import type { Buffer, Kernel, Program } from "../../src/compile/program.ts";
import { dtypes } from "../../src/ir/dtype.ts";
import { type Expr, linear, loadsIn } from "../../src/ir/expr.ts";
import { concat, full, gradients, input, type Tensor } from "../../src/ir/index.ts";
import { relu } from "../../src/ir/math.ts";
import { size } from "../../src/ir/shape.ts";
import { recompute } from "../../src/ir/tensor.ts";
import { type Choice, choices, combine } from "./graphs.ts";

type Index = ReadonlyMap<string, number>;

/** The value of an index expression; undefined where it depends on what is in memory. */
function evaluate(e: Expr, at: Index): number | undefined {
  if (e.op === "const") return e.const!;
  if (e.op === "var") return at.get(e.arg as string)!;
  const [a, b] = e.src.map((s) => evaluate(s, at));
  if (e.op === "load" || a === undefined || b === undefined) return undefined;
  const meanings: Record<string, number> = {
    add: a + b,
    mul: a * b,
    div: Math.floor(a / b),
    mod: a - b * Math.floor(a / b),
    lt: +(a < b),
    and: +(a !== 0 && b !== 0),
    clamp: Math.min(Math.max(a, 0), b),
  };
  if (!(e.op in meanings)) throw new Error(`no meaning for ${e.op}`);
  return meanings[e.op];
}

/** All values of the loops, the cut one within its part. */
function* indices(loops: readonly { name: string; n: number }[], part?: { axis: string; from: number; to: number }) {
  let all: Index[] = [new Map()];
  for (const { name, n } of loops) {
    const [from, to] = part?.axis === name ? [part.from, part.to] : [0, n];
    all = all.flatMap((at) => Array.from({ length: to - from }, (_, k) => new Map(at).set(name, from + k)));
  }
  yield* all;
}

type Access = { readonly buffer: Buffer; readonly element: number };

/** What a kernel reads and writes in one block. */
function accesses({ kernel: k, cut }: Member, lo: number, hi: number, named: Program["named"]) {
  const part = cut && { axis: cut.axis, from: lo * cut.perSlice, to: hi * cut.perSlice };
  const reads: Access[] = [];
  const writes: Access[] = [];
  const touch = (to: Access[], buffer: Buffer, element: number | undefined) => {
    if (element !== undefined) to.push({ buffer, element });
    else for (let e = 0; e < size(buffer.shape); e++) to.push({ buffer, element: e });
  };
  const load = (value: Expr, at: Index) => {
    for (const e of loadsIn([value])) {
      if (evaluate(e.src[1]!, at) !== 0) touch(reads, named.get(e.arg as string)!, evaluate(e.src[0]!, at));
    }
  };
  if (k.kind === "contraction") {
    const axes = [...k.loops, { name: "m", n: k.m }, { name: "n", n: k.n }];
    for (const at of indices(axes, part)) {
      const [i, j] = [at.get("m")!, at.get("n")!];
      touch(writes, k.c.buffer, evaluate(k.c.at, at)! + i * k.c.strides.row + j * k.c.strides.col);
      for (const l of indices(k.sum.map((s, d) => ({ name: `${d}`, n: s.n })))) {
        const along = (side: "a" | "b") => k.sum.reduce((sum, s, d) => sum + l.get(`${d}`)! * s[side], 0);
        touch(reads, k.a.buffer, evaluate(k.a.at, at)! + i * k.a.stride + along("a"));
        touch(reads, k.b.buffer, evaluate(k.b.at, at)! + j * k.b.stride + along("b"));
      }
    }
  } else if (k.kind === "accumulate") {
    // First it fills its share.
    const [from, to] = part ? [part.from, part.to] : [0, 1];
    for (const { buffer, at } of k.stores) {
      const share = part ? linear(at)!.of.get(part.axis)! : size(buffer.shape);
      for (let e = from * share; e < to * share; e++) touch(writes, buffer, e);
    }
    for (const at of indices(k.loops, part)) {
      for (const s of k.stores) {
        load(s.value, at);
        load(s.at, at);
        touch(writes, s.buffer, evaluate(s.at, at));
      }
    }
  } else {
    for (const at of indices(k.loops, part)) {
      for (const r of k.reductions) for (const l of indices(r.loops)) load(r.value, new Map([...at, ...l]));
      for (const s of k.stores) {
        load(s.value, at);
        touch(writes, s.buffer, evaluate(s.at, at));
      }
    }
  }
  return { reads, writes };
}

/** Where threads could meet, and what is read before it was made. */
function mistakes(p: Program): string[] {
  const out = new Set<string>();
  const key = ({ buffer: b, element }: Access) =>
    b.role === "state" || b.role === "temporary"
      ? `${b.role} ${b.at + element * dtypes[b.dtype].bytes}`
      : `${b.name} ${element}`;
  let phase = new Map<string, { readonly owner: string; readonly wrote: boolean }[]>();
  const holds = new Map<string, string>(); // what lies where: the buffer that wrote it
  for (const [n, band] of p.bands.entries()) {
    if (band.waits) phase = new Map();
    for (let block = 0; block < band.blocks; block++) {
      const owner = band.blocks > 1 ? `band ${n} block ${block}` : "first member";
      const [lo, hi] = [block * band.perBlock, Math.min(band.slices, (block + 1) * band.perBlock)];
      const own = new Map<string, string>(); // scratch of this block
      for (const member of band.members) {
        const { reads, writes } = accesses(member, lo, hi, p.named);
        const note = (a: Access, wrote: boolean) => {
          const at = key(a);
          if (a.buffer.role === "scratch") return;
          const seen = phase.get(at) ?? [];
          for (const s of seen)
            if (s.owner !== owner && (s.wrote || wrote)) out.add(`${s.owner} and ${owner} meet in ${a.buffer.name}`);
          if (!seen.some((s) => s.owner === owner && s.wrote === wrote)) phase.set(at, [...seen, { owner, wrote }]);
        };
        for (const a of reads) {
          note(a, false);
          const made =
            a.buffer.role === "scratch"
              ? own.get(key(a))
              : a.buffer.role === "temporary"
                ? holds.get(key(a))
                : a.buffer.name;
          if (made !== a.buffer.name) out.add(`${owner} reads ${a.buffer.name} ${a.element} before it is made`);
        }
        for (const a of writes) {
          note(a, true);
          (a.buffer.role === "scratch" ? own : holds).set(key(a), a.buffer.name);
        }
      }
    }
  }
  return [...out];
}

const graph = fc.tuple(
  fc.array(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  choices(14),
);

/** Gradient descent on a sum of squares. */
function descent(xs: readonly Tensor[], ys: readonly Tensor[]): Trace {
  const loss = ys.map((y) => y.square().sum()).reduce((a, b) => a.add(b));
  const next = gradients(loss, xs).map((g, k) => xs[k]!.sub(g.mul(0.1)));
  return { state: xs.map((now, k) => ({ now, next: next[k]! })), resident: [], feeds: [], outputs: [loss] };
}

/** Two products, the second perhaps of the first, and of both joined a third one: they may lie in the memory of the whole. */
function join(known: readonly Tensor[], choice: Choice): Tensor[] {
  const { a, b, c } = choice;
  const fit = known.filter((t) => t.rank > 0 && size(t.shape) > 0 && size(t.shape) < 60);
  if (fit.length === 0) return [];
  const made = (x: Tensor) => {
    const y = x.reshape([-1, x.shape.at(-1)!]).matmul(full(0.5, [x.shape.at(-1)!, 3]));
    return c % 2 ? y.tanh() : y;
  };
  const first = made(fit[a % fit.length]!);
  const second = made(c % 4 > 1 ? first : fit[b % fit.length]!);
  const whole = concat([first, second]);
  return [first, second, whole.matmul(whole.transpose().matmul(whole)).mul(0.1)];
}

/** In how many places of memory several kernels write. */
const shared = (p: Program): number => {
  const writes = p.kernels.flatMap((k) => (k.kind === "nest" ? k.stores : []).map((s) => s.buffer));
  const products = p.kernels.flatMap((k) => (k.kind === "contraction" ? [k.c.buffer] : []));
  return writes.length + products.length - new Set([...writes, ...products]).size;
};

test("blocks of random graphs keep to their own memory", () => {
  let cut = 0;
  let joined = 0;
  fc.assert(
    fc.property(graph, ([shapes, plan]) => {
      const xs = shapes.map((s) => input(s));
      const known: Tensor[] = [...xs];
      const grow = (some: typeof plan) =>
        some.forEach((choice) => known.push(...(choice.op % 5 ? [combine(known, choice)] : join(known, choice))));
      // Some of it is computed again for the gradient.
      grow(plan.slice(0, 2));
      recompute(() => grow(plan.slice(2, 5)));
      recompute(() => grow(plan.slice(5, 8)));
      grow(plan.slice(8));
      const program = compile(descent(xs, known.slice(-3)), { banded: true, grain: 1 });
      cut += program.bands.filter((b) => b.blocks > 1).length;
      joined += shared(program);
      expect(mistakes(program)).toEqual([]);
    }),
    { numRuns: 60, seed: 2 },
  );
  expect(cut).toBeGreaterThan(60);
  expect(joined).toBeGreaterThan(3);
});

/** The kinds of kernels in each band, those that are cut into blocks in capitals. */
const picture = (bands: readonly Band[]) =>
  bands.map((b) => {
    const word = (k: Kernel) => ({ nest: "n", accumulate: "a", contraction: "c" })[k.kind];
    const text = b.members.map((m) => word(m.kernel)).join("");
    return (b.waits ? "| " : "") + (b.blocks > 1 ? text.toUpperCase() : text);
  });

describe("a dense network", () => {
  const [batch, width] = [16, 8];
  const x = input([batch, width]);
  const [w, v] = [input([width, width]), input([width, 3])];
  const hidden = x.matmul(w).max(0);
  const loss = hidden.matmul(v).square().sum();
  const [dw, dv] = gradients(loss, [w, v]) as [Tensor, Tensor];
  const program = compile(
    {
      state: [
        { now: w, next: w.sub(dw.mul(0.1)) },
        { now: v, next: v.sub(dv.mul(0.1)) },
      ],
      resident: [],
      feeds: [x],
      outputs: [loss],
    },
    { banded: true, grain: 1 },
  );

  test("keeps to its memory", () => expect(mistakes(program)).toEqual([]));

  test("goes forward and back in one band, and each weight's gradient is used where it is made", () => {
    const [first, ...rest] = picture(program.bands.filter((b) => b.blocks > 1));
    expect(first).toMatch(/^[NC]{5,}$/);
    expect(rest).toHaveLength(2);
    for (const band of rest) expect(band).toMatch(/CN$/);
    expect(program.bands.filter((b) => b.waits)).toHaveLength(1);
  });

  test("also where the loss is scaled, and the scale is used for the loss as well", () => {
    const [scale, weight] = [input([]), input([])];
    const [x, w] = [input([1024, 8]), input([8, 8])];
    const loss = x.matmul(w).tanh().square().sum().div(weight);
    const [dw] = gradients(loss.mul(scale), [w]) as [Tensor];
    const trace: Trace = {
      state: [
        { now: w, next: w.sub(dw.div(scale)) },
        { now: scale, next: loss.mul(scale).lt(1e30).where(scale, scale.mul(0.5)) },
      ],
      resident: [],
      feeds: [x, weight],
      outputs: [loss],
    };
    const { bands } = compile(trace, { banded: true, grain: 1 });
    const rows = bands.filter((b) => b.blocks > 1 && b.slices % 1024 === 0);
    expect(picture(rows)).toHaveLength(1); // the gradient does not wait for the loss
  });

  test("has nothing in the arena that only one block needs", () => {
    const rows = [...program.named.values()].filter((b) => b.role === "scratch").map((b) => b.shape[0]);
    expect(rows).toContain(batch);
    expect(program.scratchBytes).toBeLessThan(8192);
  });
});

describe("a band that makes again what another one made", () => {
  const built = (trace: Trace) =>
    [0, Number.POSITIVE_INFINITY].map((far) => compile(trace, { banded: true, grain: 1, far })) as [Program, Program];

  // Two nets that one band reads of: when it begins with the first, the mean of the second is not there yet.
  test("waits for what it makes it of, also where that comes after its first kernel", () => {
    const [x, y, z, v] = [input([8, 16]), input([8, 16]), input([8, 16]), input([16, 4])];
    const net = (y: Tensor, sum: (t: Tensor) => Tensor) => {
      const rectified = relu(y.sub(y.mean([0], { keep: true })));
      const all = rectified.matmul(v).exp().sum();
      return [all, sum(rectified.mul(all).mul(x).add(y).exp())];
    };
    const outputs = [...net(y, (t) => t.sum([1])), ...net(z, (t) => t.reshape([8, 4, 4]).sum([2]))];
    const [made, kept] = built({ state: [], resident: [], feeds: [x, y, z, v], outputs });
    expect(made.kernels.length).toBe(kept.kernels.length + 2);
    expect(mistakes(made)).toEqual([]);
  });

  test("does so after it has made what it makes it of", () => {
    const [x, y, v] = [input([8, 16]), input([8, 16]), input([16, 4])];
    const first = relu(y.sub(y.mean([0], { keep: true })));
    const second = first.flip(1).max(x);
    const all = first.matmul(v).exp().mul(second.matmul(v)).sum();
    const of = (t: Tensor) => t.mul(all).mul(x).add(y).exp();
    const outputs = [of(second).sum([1]), of(first).reshape([8, 4, 4]).sum([2])];
    const [made, kept] = built({ state: [], resident: [], feeds: [x, y, v], outputs });
    expect(made.kernels.length).toBe(kept.kernels.length + 2);
    expect(mistakes(made)).toEqual([]);
  });

  test("leaves it where the kernel that reads it replaces what it is made of", () => {
    const [x, scale, v] = [input([8, 16]), input([8]), input([16, 4])];
    const rectified = relu(x.mul(scale.flip(0).reshape([8, 1])));
    const y = rectified.matmul(v);
    const next = scale.sub(rectified.mul(y.exp().sum()).exp().mul(x).sum([1]));
    const [made] = built({ state: [{ now: scale, next }], resident: [], feeds: [x, v], outputs: [y] });
    expect(mistakes(made)).toEqual([]);
  });
});

test("a gradient that is cut along its columns shares nothing, and its update waits for it", () => {
  const [w, x, g] = [input([2, 12]), input([64, 12]), input([64, 2])];
  const state = [{ now: w, next: w.sub(g.transpose().matmul(x)) }];
  const program = compile({ state, resident: [], feeds: [x, g], outputs: [] }, { banded: true, grain: 1 });
  const [gradient, update] = program.bands;
  expect(gradient).toMatchObject({ members: [{ cut: { axis: "n" } }], blocks: 12, waits: false });
  expect(update!.waits).toBe(true);
  expect(mistakes(program)).toEqual([]);
});

test("a phase begins with what only one thread can do: the others have blocks to take meanwhile", () => {
  const [x, w, v] = [input([512, 256]), input([256, 256]), input([256, 10])];
  const trace = { ...descent([w, v], [x.matmul(w).max(0).matmul(v)]), feeds: [x] };
  const { bands } = compile(trace, { banded: true });
  const phases = picture(bands).join(" ").split("| ");
  expect(phases.at(-1)).toMatch(/^[nac ]+ [NAC]+$/);
});

test("a row that is shifted is somebody else's", () => {
  const x = input([8, 4]);
  const y = x.sub(x.sum([1], { keep: true })).exp();
  const shifted = y
    .shrink([
      [1, 8],
      [0, 4],
    ])
    .pad([
      [0, 1],
      [0, 0],
    ])
    .sum([1]);
  const program = compile({ state: [], resident: [], feeds: [x], outputs: [y, shifted] }, { banded: true, grain: 1 });
  expect(mistakes(program)).toEqual([]);
  expect(program.bands.some((b) => b.waits)).toBe(true);
});

test("a part of a joined tensor is kept with the whole, where what is made with it is computed again", () => {
  const xs = [
    [24, 8],
    [8, 12],
    [8, 12],
    [12, 5],
    [12, 12],
  ].map((s) => input(s));
  const [x, w, v, u, z] = xs as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const g = x.matmul(v);
  const e = g.exp(); // made with the second part, and not computed again
  const ys = recompute(() => {
    const h = x.matmul(w);
    return [h.exp().matmul(z), concat([h.tanh(), g.tanh()]).matmul(u)];
  });
  const program = compile(descent(xs, [e.matmul(z).add(e), ...ys]), { banded: true });
  expect(mistakes(program)).toEqual([]);
});
