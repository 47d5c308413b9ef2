/**
 * What the compiler may never change: the numbers. Random graphs, fused, unfused and native, against plain loops over
 * the graph (test/ir/naive.ts).
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compile, type Trace } from "../../src/compile/compile.ts";
import { type DType, dtypes } from "../../src/ir/dtype.ts";
import { gradients, input, power, type Tensor, type Value, value } from "../../src/ir/index.ts";
import { type Shape, size } from "../../src/ir/shape.ts";
import type { Backend } from "../../src/run/backend.ts";
import { selectBackend } from "../../src/run/select.ts";
import { backends } from "../backends.ts";
import { naive } from "../ir/naive.ts";
import { distance, draw, some } from "../ir/numbers.ts";
import { choices, combine, move } from "./graphs.ts";

const js = (await selectBackend("js")).backend;
const native = backends.includes("native") ? (await selectBackend("native")).backend : undefined;

/** The outputs of a program without state, called once. */
async function run(
  backend: Backend,
  xs: readonly Tensor[],
  ys: readonly Tensor[],
  args: readonly Value[],
  everything = false,
) {
  const trace: Trace = { state: [], resident: [], feeds: xs, outputs: ys };
  const program = compile(trace, { everything });
  const given = (v: Value) => {
    const m = backend.allocate(v.data.byteLength);
    new dtypes[v.dtype].array(m.buffer, 0, v.data.length).set(v.data);
    return m;
  };
  const literals = program.resident.map((b) => given(b.tensor.arg as Value));
  const outputs = program.outputs.map((b) => backend.allocate(dtypes[b.dtype].bytes * size(b.shape)));
  const executable = backend.load(program);
  const workspace = backend.allocate(executable.bytes);
  const state = backend.allocate(0);
  await executable.run({ state, workspace, resident: literals, feeds: args.map(given), outputs }, 1);
  return ys.map((y, k) => Array.from(new dtypes[y.dtype].array(outputs[k]!.buffer, 0, size(y.shape))));
}

const shape = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 });
/** Zero is rare, and where most mistakes are. */
const anyShape = fc.array(
  fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1, max: 5 }) }, { weight: 1, arbitrary: fc.constant(0) }),
  { minLength: 1, maxLength: 3 },
);

const inputsOf = (shapes: readonly Shape[], d: DType) => ({
  xs: shapes.map((s) => input(s, d)),
  args: shapes.map((s, k) => draw(s, d, -1, 1, 17 * k)),
});
const given = (xs: readonly Tensor[], args: readonly Value[]) =>
  new Map(xs.map((x, k) => [x, Array.from(args[k]!.data)]));

/** Every output of a random graph, and its gradient by each input. */
function randomGraph(
  shapes: readonly Shape[],
  plan: readonly (readonly Parameters<typeof combine>[1][])[number][],
  d: DType,
) {
  const { xs, args } = inputsOf(shapes, d);
  const known = [...xs];
  for (const choice of plan) known.push(combine(known, choice));
  const ys = known.slice(-3);
  const loss = ys.map((y) => y.square().sum()).reduce((p, q) => p.add(q));
  return { xs, args, ys: [...ys, ...gradients(loss, xs)] };
}

const settings = (numRuns: number) => ({ numRuns, seed: 20240817 });

test("chains of movement ops on js", async () => {
  await fc.assert(
    fc.asyncProperty(anyShape, choices(7), async (s, plan) => {
      const { xs, args } = inputsOf([s], "f64");
      const y = plan.reduce(move, xs[0]!).own();
      const [got] = await run(js, xs, [y], args);
      expect(got).toEqual(naive([y], given(xs, args))[0]);
    }),
    settings(300),
  );
});

test("random graphs and their gradients: fused, unfused and by plain loops", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(shape, { minLength: 1, maxLength: 3 }), choices(10), async (shapes, plan) => {
      const { xs, args, ys } = randomGraph(shapes, plan, "f64");
      const want = naive(ys, given(xs, args)).flat();
      const scale = want.map((x) => 1 + Math.abs(x) + Math.max(0, ...want.map(Math.abs).filter(Number.isFinite)));
      expect(distance((await run(js, xs, ys, args)).flat(), want, scale)).toBeLessThan(1e-12);
      expect(distance((await run(js, xs, ys, args, true)).flat(), want, scale)).toBeLessThan(1e-12);
    }),
    settings(250),
  );
});

test("graphs with axes of length 0", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyShape, { minLength: 1, maxLength: 3 }), choices(8), async (shapes, plan) => {
      const { xs, args, ys } = randomGraph(shapes, plan, "f64");
      expect(distance((await run(js, xs, ys, args)).flat(), naive(ys, given(xs, args)).flat())).toBeLessThan(1e-9);
    }),
    settings(100),
  );
});

describe.runIf(native)("native", () => {
  // Many graphs are one program each of several outputs: compiling is what takes the time.
  test.each(["f64", "f32"] as const)("random graphs in %s", async (d) => {
    const list = fc.sample(fc.tuple(fc.array(anyShape, { minLength: 1, maxLength: 3 }), choices(10)), {
      numRuns: 40,
      seed: 4,
    });
    const graphs = list.map(([shapes, plan]) => randomGraph(shapes, plan, d));
    const got = await run(
      native!,
      graphs.flatMap((g) => g.xs),
      graphs.flatMap((g) => g.ys),
      graphs.flatMap((g) => g.args),
    );
    let at = 0;
    for (const [k, { xs, ys, args }] of graphs.entries()) {
      const want = naive(ys, given(xs, args)).flat();
      const ours = got.slice(at, at + ys.length).flat();
      at += ys.length;
      const scale = want.map((x) => 1 + Math.abs(x) + Math.max(0, ...want.map(Math.abs).filter(Number.isFinite)));
      expect(distance(ours, want, scale), JSON.stringify(list[k])).toBeLessThan(d === "f64" ? 1e-12 : 2e-5);
    }
  });

  test("chains of movement ops", async () => {
    const list = fc.sample(fc.tuple(anyShape, choices(7)), { numRuns: 120, seed: 9 });
    const chains = list.map(([s, plan]) => {
      const { xs, args } = inputsOf([s], "f32");
      return { xs, args, y: plan.reduce(move, xs[0]!).own() };
    });
    const got = await run(
      native!,
      chains.flatMap((c) => c.xs),
      chains.map((c) => c.y),
      chains.flatMap((c) => c.args),
    );
    for (const [k, { xs, args, y }] of chains.entries()) {
      expect(got[k], JSON.stringify(list[k])).toEqual(naive([y], given(xs, args))[0]);
    }
  });
});

describe("broadcasting, as NumPy does it", () => {
  const pair = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.constantFrom("both", "first", "second")), {
      minLength: 1,
      maxLength: 4,
    })
    .chain((axes) => fc.tuple(fc.constant(axes), fc.nat(axes.length - 1), fc.boolean()));
  test("against a loop over coordinates", async () => {
    await fc.assert(
      fc.asyncProperty(pair, async ([axes, cut, which]) => {
        const full = axes.map(([n]) => n);
        const a = axes.map(([n, who]) => (who === "second" ? 1 : n)).slice(which ? cut : 0);
        const b = axes.map(([n, who]) => (who === "first" ? 1 : n)).slice(which ? 0 : cut);
        const out = full.map((n, k) =>
          Math.max(
            0,
            k - cut < 0
              ? which
                ? b[k]!
                : a[k]!
              : axes[k]![1] === "both"
                ? n
                : a.at(k - full.length)! === 1
                  ? b.at(k - full.length)!
                  : a.at(k - full.length)!,
          ),
        );
        const { xs, args } = inputsOf([a, b], "f64");
        const y = xs[0]!.sub(xs[1]!);
        expect(y.shape).toEqual(out);
        const read = (v: Value, at: readonly number[]) => {
          const own = at.slice(at.length - v.shape.length).map((i, k) => (v.shape[k] === 1 ? 0 : i));
          return v.data[own.reduce((sum, i, k) => sum * v.shape[k]! + i, 0)]!;
        };
        const want: number[] = [];
        const walk = (at: number[]) => {
          if (at.length === out.length) want.push(read(args[0]!, at) - read(args[1]!, at));
          else for (let i = 0; i < out[at.length]!; i++) walk([...at, i]);
        };
        walk([]);
        expect((await run(js, xs, [y], args))[0]).toEqual(want);
      }),
      settings(200),
    );
  });
});

describe("matmul: shapes, transposes on either side, batches that broadcast", () => {
  type Product = {
    m: number;
    k: number;
    n: number;
    turnedA: boolean;
    turnedB: boolean;
    batchA: number[];
    batchB: number[];
  };
  const dim = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(0, 16, 33, 64));
  const product: fc.Arbitrary<Product> = fc.record({
    m: dim,
    k: dim,
    n: dim,
    turnedA: fc.boolean(),
    turnedB: fc.boolean(),
    batchA: fc.constantFrom([], [1], [3], [2, 1], [2, 3]),
    batchB: fc.constantFrom([], [1], [3], [2, 1], [1, 3]),
  });
  const build = (p: Product, d: DType) => {
    const { xs, args } = inputsOf(
      [
        [...p.batchA, ...(p.turnedA ? [p.k, p.m] : [p.m, p.k])],
        [...p.batchB, ...(p.turnedB ? [p.n, p.k] : [p.k, p.n])],
      ],
      d,
    );
    const [a, b] = xs as [Tensor, Tensor];
    return { xs, args, y: (p.turnedA ? a.transpose() : a).matmul(p.turnedB ? b.transpose() : b) };
  };
  /** Σ a·b and Σ |a·b|, by five loops. */
  const loops = (p: Product, args: readonly Value[], batch: Shape) => {
    const [sum, size1]: [number[], number[]] = [[], []];
    const [a, b] = args as [Value, Value];
    const count = size(batch);
    for (let q = 0; q < count; q++) {
      const at = batch.map((_, axis) => Math.floor(q / size(batch.slice(axis + 1))) % batch[axis]!);
      const start = (own: Shape) => {
        const i = at.slice(at.length - own.length).map((x, axis) => (own[axis] === 1 ? 0 : x));
        return i.reduce((s, x, axis) => s * own[axis]! + x, 0);
      };
      const [a0, b0] = [start(p.batchA) * p.m * p.k, start(p.batchB) * p.k * p.n];
      for (let i = 0; i < p.m; i++) {
        for (let j = 0; j < p.n; j++) {
          let [s, t] = [0, 0];
          for (let l = 0; l < p.k; l++) {
            const v =
              a.data[a0 + (p.turnedA ? l * p.m + i : i * p.k + l)]! *
              b.data[b0 + (p.turnedB ? j * p.k + l : l * p.n + j)]!;
            s += v;
            t += Math.abs(v);
          }
          sum.push(s);
          size1.push(t + 1e-30);
        }
      }
    }
    return { sum, terms: size1 };
  };

  test("js", async () => {
    await fc.assert(
      fc.asyncProperty(product, async (p) => {
        const { xs, args, y } = build(p, "f64");
        const { sum, terms } = loops(p, args, y.shape.slice(0, -2));
        expect(distance((await run(js, xs, [y], args))[0]!, sum, terms)).toBeLessThan(1e-13);
      }),
      settings(80),
    );
  });

  test.runIf(native)("native", async () => {
    const list = fc.sample(product, { numRuns: 60, seed: 3 });
    const products = list.map((p) => ({ p, ...build(p, "f32") }));
    const got = await run(
      native!,
      products.flatMap((c) => c.xs),
      products.map((c) => c.y),
      products.flatMap((c) => c.args),
    );
    for (const [k, { p, y, args }] of products.entries()) {
      const { sum, terms } = loops(p, args, y.shape.slice(0, -2));
      expect(distance(got[k]!, sum, terms), JSON.stringify(p)).toBeLessThan(2e-6);
    }
  });
});

test("outputs that are one tensor, an input, a movement of an input, a constant", async () => {
  for (const backend of native ? [js, native] : [js]) {
    const x = input([2, 3], "f64");
    const y = x.square();
    const v = value([2, 3], some(6), "f64");
    const outputs = [y, y, x, x.transpose(), x.reshape([6]).flip(0), y.detach(), x.mul(0).add(2)];
    const got = await run(backend, [x], outputs, [v]);
    expect(got).toEqual(naive(outputs, given([x], [v])));
  }
});

test("sums of any number of rows, added up several at a time", async () => {
  for (const backend of native ? [js, native] : [js]) {
    const rows = [1, 2, 3, 4, 5, 6, 7, 9, 11, 14, 25, 28];
    const xs = rows.flatMap((n) => [input([n, 3, 16]), input([n, 3])]);
    const args = rows.flatMap((n) => [draw([n, 3, 16], "f32", -1, 1, n), draw([n, 3], "f32", -1, 1, -n)]);
    const sums = rows.flatMap((_, k) => {
      const [x, scale] = [xs[2 * k]!, xs[2 * k + 1]!];
      return [x.mul(scale.unsqueeze(-1)).sum([0, 1]), x.amax([0, 1])];
    });
    const got = await run(backend, xs, sums, args);
    rows.forEach((n, k) => {
      const [x, scale] = [args[2 * k]!.data, args[2 * k + 1]!.data];
      for (let i = 0; i < 16; i++) {
        let sum = 0;
        let top = -Infinity;
        for (let j = 0; j < 3 * n; j++) {
          sum += x[16 * j + i]! * scale[j]!;
          top = Math.max(top, x[16 * j + i]!);
        }
        expect(Math.abs(got[2 * k]![i]! - sum), `sum of ${n}`).toBeLessThan(1e-5);
        expect(got[2 * k + 1]![i], `largest of ${n}`).toBe(top);
      }
    });
  }
});

test("what is cheap to make again of what is kept is not kept: of a layer norm neither centred nor scaled rows", () => {
  const [x, residual, w] = [input([8, 64]), input([8, 64]), input([64])];
  const h = x.add(residual);
  const centred = h.sub(h.mean(-1, { keep: true }));
  const scaled = centred.mul(power(centred.square().mean(-1, { keep: true }).add(1e-5), -0.5));
  const y = scaled.mul(w).square().sum();
  const program = compile({ state: [], resident: [], feeds: [x, residual, w], outputs: gradients(y, [x, w]) });
  const written = new Set(program.kernels.flatMap((k) => (k.kind === "nest" ? k.stores.map((s) => s.buffer) : [])));
  const rows = [...written].filter((b) => size(b.shape) === 8 * 64 && b.tensor.origin.of === undefined);
  expect(rows.map((b) => b.tensor.op)).toEqual(["add"]);
});
