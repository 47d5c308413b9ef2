/** The methods against theory, against naive loops, and against SciPy and PyTorch. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Tensor, Value } from "../../src/index.ts";
import { Form } from "../../src/minimize/form.ts";
import {
  conjugateGradient,
  gradientDescent,
  lbfgs,
  type Memory,
  type Method,
  MethodError,
  minimize,
  newtonCG,
  type Objective,
  type Point,
  methods as registry,
} from "../../src/minimize/index.ts";
import { Compiled } from "../../src/minimize/objective.ts";
import { search } from "../../src/minimize/search.ts";
import { dot, minus, norm, type Vector } from "../../src/minimize/vector.ts";
import { type Problem, problems, quadratic } from "../../src/problems/index.ts";
import * as tree from "../../src/tree.ts";
import { bowl, objective, vector } from "./objectives.ts";

const betas = ["fletcherReeves", "polakRibiere", "hestenesStiefel", "daiYuan"] as const;
const methods: readonly Method[] = [
  ...Object.values(registry).map((row): Method => row.make()),
  gradientDescent({ lineSearch: "wolfe" }),
  gradientDescent({ lineSearch: "exact" }),
  gradientDescent({ lineSearch: "barzilaiBorwein" }),
  gradientDescent({ lineSearch: "barzilaiBorwein", length: "short" }),
  ...betas.filter((beta) => beta !== "polakRibiere").map((beta) => conjugateGradient({ beta })),
  conjugateGradient({ lineSearch: "exact" }),
  newtonCG({ forcing: 0.1 }),
];
const table: Readonly<Record<string, Problem>> = problems;

/** So many iterations from a point; throws where the method gets stuck. */
async function walk(method: Method, f: Objective, start: Point, n: number, memory = method.init(start.x.length)) {
  const points = [start];
  for (let k = 0; k < n; k++) {
    const next = await method.iterate(f, points.at(-1)!, memory);
    if ("stuck" in next) throw new Error(`${method.describe}: ${next.stuck}`);
    points.push(next.point);
    memory = next.memory;
  }
  return { points, memory };
}

describe("each method on each classic function", () => {
  /** Where steepest descent needs more steps than a test has time for. */
  const slow = /^(rosenbrock|powellSingular|wood|freudensteinRoth|beale)$/;

  /** powellSingular has no curvature along two axes at its minimum, where x⁴ says 1e-8 at 1e-2; ackley has a tip. */
  const loose: Readonly<Record<string, number>> = { powellSingular: 0.02, ackley: 1e-3 };

  test.each(Object.entries(table))("%s", async (name, { f, start, atStart, minima, localMinima }) => {
    const form = new Form(start);
    const compiled = await Compiled.start(f, form, { backend: "js" });
    for (const method of methods) {
      const steepest = /^gradientDescent/.test(method.describe);
      const limits = { gradientTolerance: 1e-6, maxIterations: steepest ? 250 : 1000 };
      const { x, value, reason } = await search(compiled, form, method, limits);
      const distance = Math.min(
        ...[...minima, ...localMinima].map(({ at }) => norm(minus(vector(...x), vector(...at)))),
      );
      const crawls = slow.test(name) && steepest && /maxIterations/.test(reason);
      if (crawls) expect(value, method.describe).toBeLessThan(atStart / 2);
      else expect(distance, `${method.describe}: ${reason}`).toBeLessThan(loose[name] ?? 1e-5);
    }
  });
});

describe("SciPy and PyTorch", () => {
  type End = { x: number[]; value: number; gradientNorm: number; iterations: number; evaluations: number };
  type Row = { problem: string; start: number[] } & Record<
    "conjugateGradient" | "lbfgs" | "newtonCG" | "torchLbfgs",
    End
  >;
  const golden = JSON.parse(readFileSync(new URL("../golden/minimize.json", import.meta.url), "utf8")) as {
    ends: Row[];
  };
  const functionOf = ({ problem, start }: Row): ((x: Tensor) => Tensor) => {
    if (problem === "quadratic") return quadratic({ condition: 1e4, dimension: start.length }).f;
    const { of, f } = table[problem]!;
    return of ? of(start.length).f : f;
  };
  const ours = { conjugateGradient: conjugateGradient(), lbfgs: lbfgs(), newtonCG: newtonCG(), torchLbfgs: lbfgs() };

  test.each(golden.ends.map((row) => [`${row.problem} of ${row.start.length}`, row] as const))("%s", async (_, row) => {
    for (const [name, method] of Object.entries(ours)) {
      const theirs = row[name as keyof typeof ours];
      const end = await minimize(functionOf(row), row.start, method, { backend: "js" });
      const factor = (mine: number, other: number) => mine / other;
      expect(end.converged, `${name}: ${end.reason}`).toBe(true);
      expect(end.value).toBeCloseTo(theirs.value, 8);
      expect(norm(minus(vector(...end.x), vector(...theirs.x)))).toBeLessThan(
        row.problem === "powellSingular" ? 0.02 : 1e-5,
      );
      expect(factor(end.iterations, theirs.iterations), `iterations of ${name}`).toBeLessThan(2);
      expect(factor(end.evaluations.value, theirs.evaluations), `evaluations of ${name}`).toBeLessThan(2);
    }
  });

  // PyTorch's strong Wolfe search is minFunc's, with other safeguards than ours: until one of them acts, ways are the same.
  test.each(golden.ends.filter((row) => row.problem === "beale"))(
    "L-BFGS on $problem is PyTorch's to the last step",
    async (row) => {
      const end = await minimize(functionOf(row), row.start, lbfgs(), { backend: "js" });
      expect([end.iterations, end.evaluations.value]).toEqual([row.torchLbfgs.iterations, row.torchLbfgs.evaluations]);
      expect(end.value / row.torchLbfgs.value).toBeCloseTo(1, 6);
    },
  );
});

describe("quadratics", () => {
  const mild = [1, 2, 5, 10, 50];
  const start = vector(1, 1, 1, 1, 1);

  test.each(betas)("conjugate gradients (%s) with exact steps end after n", async (beta) => {
    const f = objective(bowl(mild));
    const method = conjugateGradient({ beta, lineSearch: "exact" });
    const { points } = await walk(method, f, await f.at(start), mild.length);
    const norms = points.map((p) => norm(p.gradient));
    expect(norms.at(-2)! / norms[0]!).toBeGreaterThan(1e-4);
    expect(norms.at(-1)! / norms[0]!).toBeLessThan(1e-10);
  });

  test("steepest descent with exact steps: ((κ − 1) / (κ + 1))² a step where it is slowest, and never more", async () => {
    const kappa = 50;
    const rate = ((kappa - 1) / (kappa + 1)) ** 2;
    const f = objective(bowl([1, kappa]));
    const worst = await walk(gradientDescent({ lineSearch: "exact" }), f, await f.at(vector(kappa, 1)), 20);
    for (const [k, p] of worst.points.slice(1).entries()) {
      expect(p.value / worst.points[k]!.value).toBeCloseTo(rate, 10);
    }
    const g = objective(bowl([1, 3, 20, kappa]));
    const some = await walk(gradientDescent({ lineSearch: "exact" }), g, await g.at(vector(3, -1, 2, 0.5)), 20);
    for (const [k, p] of some.points.slice(1).entries()) {
      expect(p.value / some.points[k]!.value).toBeLessThanOrEqual(rate);
    }
  });

  test("Newton's method takes one step", async () => {
    const f = objective(bowl(mild));
    const { points } = await walk(newtonCG({ forcing: 1e-10 }), f, await f.at(start), 1);
    expect(norm(points[1]!.x)).toBeLessThan(1e-8);
  });

  /** Barzilai & Borwein 1988, (5) and (6), as they stand there. */
  function naive(which: "long" | "short", lambda: readonly number[], x: number[], first: number, steps: number) {
    const points = [x];
    let length = first;
    for (let k = 0; k < steps; k++) {
      const next = x.map((t, i) => t - length * lambda[i]! * t);
      const s = next.map((t, i) => t - x[i]!);
      const y = s.map((t, i) => lambda[i]! * t);
      const sum = (a: number[], b: number[]) => a.reduce((all, t, i) => all + t * b[i]!, 0);
      length = which === "long" ? sum(s, s) / sum(s, y) : sum(s, y) / sum(y, y);
      points.push(next);
      x = next;
    }
    return points;
  }

  test.each(["long", "short"] as const)("Barzilai & Borwein's steps are the paper's: %s", async (which) => {
    const lambda = [1, 4, 20];
    const f = objective(bowl(lambda));
    const from = await f.at(vector(2, 1, -1));
    const first = 1 / (2 + 4 + 20); // 1 / ‖g‖₁, which lets f fall here
    const { points } = await walk(gradientDescent({ lineSearch: "barzilaiBorwein", length: which }), f, from, 12);
    for (const [k, x] of naive(which, lambda, [2, 1, -1], first, 12).entries()) {
      expect(norm(minus(points[k]!.x, vector(...x)))).toBeLessThan(1e-12);
    }
  });

  test("Barzilai & Borwein need hundreds of steps where steepest descent needs ten thousands", async () => {
    const { f, start } = quadratic({ condition: 1e4, dimension: 5 });
    const options = { backend: "js", maxIterations: 1000 } as const;
    const fast = await minimize(f, start, gradientDescent({ lineSearch: "barzilaiBorwein" }), options);
    const slow = await minimize(f, start, gradientDescent({ lineSearch: "exact" }), options);
    expect(fast.converged).toBe(true);
    expect(fast.iterations).toBeLessThan(500);
    expect(slow.reason).toContain("maxIterations");
  });
});

describe("near a minimum", () => {
  /** Σ eˣ + e⁻²ˣ: curved, and third derivatives that are not 0. */
  const cosh = objective({
    f: (x) => x.reduce((sum, t) => sum + Math.exp(t) + Math.exp(-2 * t), 0),
    gradient: (x) => x.map((t) => Math.exp(t) - 2 * Math.exp(-2 * t)),
    hessianTimes: (x, v) => v.map((t, k) => (Math.exp(x[k]!) + 4 * Math.exp(-2 * x[k]!)) * t),
  });

  test("Newton's method squares the gradient", async () => {
    const { points } = await walk(newtonCG({ forcing: "quadratic" }), cosh, await cosh.at(vector(1, -0.5, 0.2)), 5);
    const norms = points.map((p) => norm(p.gradient)).filter((g) => g < 0.5 && g > 1e-13);
    expect(norms.length).toBeGreaterThan(2);
    for (const [k, g] of norms.slice(1).entries()) expect(g).toBeLessThan(2 * norms[k]! ** 2);
  });

  test("L-BFGS is faster than any rate", async () => {
    const { points } = await walk(lbfgs(), cosh, await cosh.at(vector(1, -0.5, 0.2)), 8);
    const norms = points.map((p) => norm(p.gradient));
    expect(norms[8]! / norms[7]!).toBeLessThan(0.05);
    expect(norms[8]!).toBeLessThan(1e-6);
  });
});

test("Newton's method says where there is no second derivative", async () => {
  const f = objective({ ...bowl([1, 2]), hessianTimes: (_, v) => v.map(() => NaN) });
  const attempt = walk(newtonCG(), f, await f.at(vector(1, 1)), 1);
  await expect(attempt).rejects.toThrow(/d·H d = NaN, where f is 1\.5\n.*second derivative.*lbfgs/);
  await expect(attempt).rejects.toBeInstanceOf(MethodError);
});

describe("every step", () => {
  /** The strong Wolfe conditions between two points, along the line that joins them. */
  function conditions(from: Point, to: Point, c1: number, c2: number): void {
    const s: Vector = minus(to.x, from.x);
    const slope = dot(from.gradient, s);
    expect(slope).toBeLessThan(0);
    expect(to.value).toBeLessThanOrEqual(from.value + c1 * slope + 1e-12 * Math.abs(from.value));
    expect(Math.abs(dot(to.gradient, s))).toBeLessThanOrEqual(-c2 * slope * (1 + 1e-6));
  }
  const searching = [
    [lbfgs(), 0.9],
    [newtonCG(), 0.9],
    [gradientDescent({ lineSearch: "wolfe" }), 0.9],
    ...betas.map((beta) => [conjugateGradient({ beta }), 0.1] as const),
  ] as const satisfies readonly (readonly [Method, number])[];

  test.each(searching)("of $describe has the strong Wolfe conditions", async (method: Method, c2: number) => {
    const rosenbrock = objective({
      f: ([x, y]) => (1 - x!) ** 2 + 100 * (y! - x! * x!) ** 2,
      gradient: ([x, y]) => vector(-2 * (1 - x!) - 400 * x! * (y! - x! * x!), 200 * (y! - x! * x!)),
      hessianTimes: ([x, y], [a, b]) =>
        vector((2 - 400 * (y! - 3 * x! * x!)) * a! - 400 * x! * b!, -400 * x! * a! + 200 * b!),
    });
    const { points } = await walk(method, rosenbrock, await rosenbrock.at(vector(-1.2, 1)), 30);
    for (const [k, p] of points.slice(1).entries()) conditions(points[k]!, p, 1e-4, c2);
  });

  test.each(methods.map((m) => [m.describe, m] as const))(
    "of %s follows from point and memory alone",
    async (_, method) => {
      const f = objective(bowl([1, 7, 30]));
      const start = await f.at(vector(1, 2, -3));
      const copied = (m: Memory): Memory => tree.map((v: Value) => structuredClone(v.data), m);
      const { points } = await walk(method, f, start, 2);
      const half = await walk(method, f, start, 1);
      const saved = copied(half.memory);
      const again = await walk(method, f, half.points[1]!, 1, half.memory);
      expect(again.points[1]).toEqual(points[2]);
      expect(copied(half.memory)).toEqual(saved); // and it is not written to
    },
  );
});
