/** LARS, Adafactor, Muon and Shampoo against their libraries and the papers' loops, and what matrices ask of them. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Float } from "../../src/ir/dtype.ts";
import { literal, type Value, value } from "../../src/ir/index.ts";
import {
  adafactor,
  type Common,
  type Dialect,
  matrices,
  muon,
  type Optimizer,
  optimizers,
  type Row,
  shampoo,
} from "../../src/optim/index.ts";
import { matrixOptimizers } from "../../src/optim/matrix-optimizers.ts";
import { inverseRoot } from "../../src/optim/rules/inverse-root.ts";
import { newtonSchulz } from "../../src/optim/rules/muon.ts";
import { key, normal } from "../../src/random.ts";
import type { BackendName } from "../../src/run/backend.ts";
import { evaluate } from "../../src/run/jit.ts";
import { hasNative } from "../backends.ts";
import { descent, distance, feeds, type Nested, type Tensors, values } from "./descent.ts";
import { furthest, type Problems, sideBySide, type Walked } from "./golden.ts";

type Name = keyof typeof matrixOptimizers;
const names = Object.keys(matrixOptimizers) as Name[];
const rows = matrixOptimizers as { readonly [N in Name]: Row<Common> };

// ---- golden trajectories -------------------------------------------------------------------------------------------------

type Case = Walked<keyof typeof losses> & {
  readonly dialect: Dialect;
  readonly optimizer: Name;
  readonly settings: Readonly<Record<string, unknown>>;
  /** loss[i]: after steps[i] steps. */
  readonly loss: readonly number[];
  readonly decayOnly?: "matrices";
  readonly only?: "matrices";
  readonly tolerance?: number;
};
type Root = { readonly order: number; readonly condition: number; readonly ridge: number; readonly eps: number };

const golden = JSON.parse(readFileSync(new URL("../golden/matrix-optimizers.json", import.meta.url), "utf8")) as {
  readonly steps: readonly number[];
  readonly problems: Problems<keyof typeof losses>;
  readonly defaults: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;
  readonly roots: readonly (Root & { readonly a: Nested; readonly root: Nested })[];
  readonly cases: readonly Case[];
};

const losses = {
  layers:
    ({ X, T }: Tensors) =>
    ({ W1, b1, W2, b2 }: Tensors) =>
      X!.matmul(W1!.transpose()).add(b1!).tanh().matmul(W2!.transpose()).add(b2!).sub(T!).square().sum(),
  tensors: (constants: Tensors) => (p: Tensors) =>
    Object.entries(p)
      .map(([name, w]) => {
        const squares = w.sub(constants[`c.${name}`]!).square();
        return constants[`d.${name}`]!.mul(squares).mul(0.5).add(squares.square().mul(0.025)).sum();
      })
      .reduce((x, y) => x.add(y)),
};

function build({ optimizer, dialect, settings: { lr: _, ...hyper }, decayOnly, only }: Case): Optimizer {
  const options = { ...hyper, dialect, ...(decayOnly && { decayOnly: matrices }), ...(only && { only: matrices }) };
  return rows[optimizer].make(options);
}

/** All cases of a row in one program. */
const walk = (list: readonly Case[], dtype: Float, backend: BackendName) =>
  sideBySide(list, list.map(build), { problems: golden.problems, losses }, dtype, backend);

describe("golden trajectories", () => {
  const casesOf = (name: Name) => golden.cases.filter((c) => c.optimizer === name);

  test.each(names)("%s, f64", async (name) => {
    const list = casesOf(name);
    const output = await walk(list, "f64", "js");
    list.forEach((c, k) => {
      const tolerance = c.tolerance ?? 1e-9;
      expect(furthest(golden.steps, c.points, output[k]!.w), c.name).toBeLessThan(tolerance);
      const before = golden.steps.filter((s) => s < 100); // loss[k] of the run is that before step k + 1
      const loss = before.map((s) => output[k]!.loss.data[s]!);
      expect(distance(loss, c.loss.slice(0, before.length)), c.name).toBeLessThan(tolerance);
    });
  });

  // Shampoo's roots have the error of f32 times the condition of what they are of, which the ridge bounds at 1e6.
  test.runIf(hasNative).each(names)(
    "%s, f32 in C",
    async (name) => {
      const variants = new Map(casesOf(name).map((c) => [c.name.replace(c.problem, ""), c])); // one problem for each
      const list = [...variants.values()];
      const output = await walk(list, "f32", "native");
      list.forEach((c, k) => {
        const tolerance = c.tolerance ?? (name === "shampoo" ? 1e-3 : 1e-4);
        expect(furthest(golden.steps, c.points, output[k]!.w), c.name).toBeLessThan(tolerance);
      });
    },
    60_000,
  );

  test("reach every row in every dialect", () => {
    const covered = new Set(golden.cases.map((c) => `${c.optimizer} ${c.dialect}`));
    const all = names.flatMap((name) => Object.keys(rows[name].dialects).map((dialect) => `${name} ${dialect}`));
    expect([...covered].sort()).toEqual(all.sort());
  });
});

describe("the libraries' own defaults", () => {
  const all = Object.entries(golden.defaults).flatMap(([dialect, rules]) =>
    Object.entries(rules).map(([name, theirs]) => [dialect, name, theirs] as const),
  );
  test.each(all)("%s: %s", (dialect, name, theirs) => {
    const ours = rows[name as Name].dialects[dialect as Dialect]! as Record<string, unknown>;
    // None is off, and PyTorch's ε of Adafactor, which is that of the dtype, is left out.
    for (const [key, x] of Object.entries(theirs)) expect(ours[key], key).toBe(x ?? (key === "eps" ? undefined : 0));
  });
});

// ---- matrices ------------------------------------------------------------------------------------------------------------

const drawn = (rows: number, columns: number, stream = 0, dtype: "f32" | "f64" = "f64") =>
  value(
    [rows, columns],
    Array.from({ length: rows * columns }, (_, i) => normal(key(5), i, stream)),
    dtype,
  );

/** Small programs are not worth a compiler's time. */
const js = { backend: "js" } as const;

/** Singular values of a small matrix, by Jacobi rotations of its columns (Golub & Van Loan, section 8.6). */
function singularValues({ shape, data }: Value): number[] {
  const [rows, columns] = shape as [number, number];
  const a = Array.from({ length: columns }, (_, j) => Array.from({ length: rows }, (_, i) => data[i * columns + j]!));
  const dot = (x: number[], y: number[]) => x.reduce((sum, v, k) => sum + v * y[k]!, 0);
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < columns; p++) {
      for (let q = p + 1; q < columns; q++) {
        const [x, y] = [a[p]!, a[q]!];
        const angle = 0.5 * Math.atan2(2 * dot(x, y), dot(x, x) - dot(y, y));
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        a[p] = x.map((v, k) => c * v + s * y[k]!);
        a[q] = x.map((v, k) => c * y[k]! - s * v);
      }
    }
  }
  return a.map((x) => Math.sqrt(dot(x, x))).sort((x, y) => y - x);
}

describe("Newton–Schulz iterations", () => {
  test.each([
    [6, 6],
    [12, 5],
    [5, 12],
    [1, 7],
    [7, 1],
  ])("make %i × %i nearly orthogonal: 1 itself goes to 0.6964", async (rows, columns) => {
    const [x, y] = [
      drawn(rows, columns),
      await evaluate(
        newtonSchulz(literal(drawn(rows, columns)), 5, (l) => l),
        js,
      ),
    ];
    expect(singularValues(x)[0]!).toBeGreaterThan(1.5);
    for (const s of singularValues(y).slice(0, Math.min(rows, columns))) {
      expect(s).toBeGreaterThan(0.67);
      expect(s).toBeLessThan(1.2);
    }
  });
});

describe("the coupled Newton iteration", () => {
  const each = golden.roots.map(({ a, root, ...r }) => ({ ...r, ...values({ a, root }, "f64") })) as (Root & {
    readonly a: Value;
    readonly root: Value;
  })[];
  const named = (r: Root) => `A^(−1/${r.order}) of condition ${r.condition}, ε ${r.eps}`;

  test("agrees with eigendecompositions, in f64", async () => {
    const ours = await evaluate(
      each.map(({ a, ...r }) => inverseRoot(literal(a), r.order, r)),
      js,
    );
    each.forEach((r, k) =>
      expect(distance(ours[k]!.data, [...r.root.data]), named(r)).toBeLessThan(1e-16 * r.condition),
    );
  });

  test.runIf(hasNative)("and in f32 as far as the condition lets it, in C", async () => {
    const some = each.filter(({ condition, order }) => condition <= 1e6 && order % 4 === 0);
    const rounded = await evaluate(
      some.map(({ a, ...r }) => inverseRoot(literal(value(a.shape, a.data, "f32")), r.order, r)),
      { backend: "native" },
    );
    some.forEach((r, k) => {
      expect(distance(rounded[k]!.data, [...r.root.data]), named(r)).toBeLessThan(1e-6 + 3e-8 * r.condition);
    });
  });

  test("stands rank 1 and what rounding makes of it, in f32", async () => {
    const g = drawn(40, 1, 2, "f32");
    const gram = literal(g).mul(1e3).matmul(literal(g).mul(1e3).transpose());
    const root = await evaluate(inverseRoot(gram, 4, { eps: 1e-4, ridge: 1e-6 }), js);
    expect(root.data.every(Number.isFinite)).toBe(true);
  });
});

describe("matrices with one row, one column, or no gradient", () => {
  const each = names.flatMap((name) => Object.keys(rows[name].dialects).map((dialect) => [name, dialect] as const));
  const start = {
    row: [[1, -2, 3, 0.5]],
    column: [[1], [0.5], [-2]],
    still: [
      [1, 2],
      [3, 4],
    ],
    bias: [1, -1],
    nil: 0,
  };

  test.each(each)("%s, %s: finite, and what has no gradient stays", async (name, dialect) => {
    const still = { weightDecay: 0, ...(name === "muon" && { auxDecay: 0 }) };
    const rule = rows[name].make({ dialect: dialect as Dialect, ...still });
    const loss =
      () =>
      ({ row, column, still, bias, nil }: Tensors) =>
        [row!, column!, bias!, nil!, still!.mul(0)].map((w) => w.square().sum()).reduce((x, y) => x.add(y));
    const { run, loop } = await descent(rule, loss, values(start, "f32"));
    const { output } = await loop.take(
      5,
      feeds(5, () => 0.05, "f32"),
    );
    const { w } = run.state();
    for (const v of Object.values(w)) expect([...v.data].every(Number.isFinite)).toBe(true);
    expect([...w.still!.data]).toEqual([1, 2, 3, 4]);
    expect(output.loss.data[4]).toBeLessThan(output.loss.data[0]!);
  });
});

describe("muon", () => {
  const params = { embed: value([5, 4], Array(20).fill(1)), kernel: value([2, 3, 2, 2], Array(24).fill(1)) };
  const bias = value([4], [1, 2, 3, 4]);

  test("leaves to AdamW what is no matrix, or is not named", () => {
    const count = (o: Parameters<typeof muon>[0]) => {
      const [own, rest] = Object.values(muon(o).init({ ...params, bias })) as object[];
      return [JSON.stringify(own).match(/"dtype"/g)?.length ?? 0, JSON.stringify(rest).match(/"dtype"/g)?.length ?? 0];
    };
    expect(count({})).toEqual([1, 4]); // one average for a matrix; two for each of the others
    expect(count({ dialect: "optax", only: matrices, nesterov: false })).toEqual([2, 2]);
    expect(count({ only: (path) => path === "embed" })).toEqual([1, 4]);
  });

  test("refuses what is no matrix, by path, shape and remedy", () => {
    const all: Parameters<typeof muon>[0] = { only: () => true };
    expect(() => muon(all).init({ head: { bias } })).toThrow(/head\.bias is f32\[4\], a vector.*AdamW by `only`/s);
    expect(() => muon(all).init({ scale: value([], [1]) })).toThrow(/scale is f32\[\], a scalar/);
    expect(() => muon(all).init(params)).toThrow(/kernel is f32\[2,3,2,2\], a tensor of 4 axes.*"optax"/s);
    expect(() => muon({ ...all, dialect: "optax" }).init(params)).not.toThrow();
    expect(() => muon({ only: (path) => path === "head" }).init(params)).toThrow(/names none of the parameters/);
    expect(() => muon({ dialect: "optax", only: matrices }).init({ bias })).toThrow(/names none of the parameters/);
  });

  test("trains where no parameter is a matrix, as AdamW does", async () => {
    const loss =
      () =>
      ({ b }: Tensors) =>
        b!.square().sum();
    const end = async (rule: Optimizer) => {
      const { run, loop } = await descent(rule, loss, values({ b: [1, -2] }, "f64"));
      await loop.take(
        3,
        feeds(3, () => 0.1),
      );
      return [...run.state().w.b!.data];
    };
    expect(distance(await end(muon({ auxLr: 1 })), await end(optimizers.adamW.make()))).toBeLessThan(1e-15);
  });

  test("the root mean square of a step is updateRms, whatever the shape", async () => {
    for (const [r, c] of [
      [4, 16],
      [16, 4],
    ] as const) {
      const rule = muon({ updateRms: 0.2, weightDecay: 0 });
      const [slope, start] = [drawn(r, c, 9), value([r, c], new Float64Array(r * c), "f64")];
      const { run, loop } = await descent(
        rule,
        ({ slope }) =>
          ({ w }) =>
            w!.mul(slope!).sum(),
        { w: start },
        { data: { slope } },
      );
      await loop.take(
        1,
        feeds(1, () => 1),
      );
      const moved = Math.sqrt(run.state().w.w!.data.reduce((sum, x) => sum + x * x, 0) / (r * c));
      expect(moved).toBeGreaterThan(0.15);
      expect(moved).toBeLessThan(0.24);
    }
  });
});

test("Adafactor keeps two vectors of a matrix, Shampoo two squares, or the diagonals of what is longer", () => {
  const w = value([200, 130], new Float32Array(26_000));
  const lengths = (o: Optimizer) =>
    [
      ...JSON.stringify(o.init({ w }), (_, x) => (ArrayBuffer.isView(x) ? undefined : x)).matchAll(
        /"shape":\[([\d,]*)\]/g,
      ),
    ].map((m) => m[1]);
  expect(lengths(adafactor())).toEqual(["200,1", "1,130"]);
  expect(lengths(adafactor({ dialect: "optax" }))).toEqual(["1,130", "200,1"]);
  expect(lengths(adafactor({ dialect: "optax", factorFrom: 131 }))).toEqual(["200,130"]);
  expect(lengths(shampoo({ momentum: 0 }))).toEqual(["200,200", "130,130"]);
  expect(lengths(shampoo({ momentum: 0, maxDim: 150 }))).toEqual(["200", "130,130"]);
});
