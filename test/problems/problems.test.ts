/** The classic test functions against values, gradients and minima that mpmath and SciPy computed from other formulas. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { evaluate, grad, hvp, literal, Run, type Tensor, type Value, value } from "../../src/index.ts";
import { type Problem, type ProblemName, problems, quadratic } from "../../src/problems/index.ts";
import { key, uniform } from "../../src/random.ts";

type Minimum = { readonly at: number[]; readonly value: number; readonly curvature: number | null };
type Case = {
  readonly name: ProblemName;
  readonly dimension: number;
  readonly start: number[];
  readonly atStart: number;
  readonly minima: Minimum[];
  readonly localMinima: Minimum[];
  readonly points: { readonly x: number[]; readonly f: number; readonly gradient: number[] }[];
};
const golden = JSON.parse(readFileSync(new URL("../golden/problems.json", import.meta.url), "utf8")) as {
  readonly problems: Case[];
};

const table: Readonly<Record<string, Problem>> = problems;
const names = Object.keys(table);
const point = (x: readonly number[], dtype: "f32" | "f64" = "f64") => literal(value([x.length], x, dtype));
const numbers = (v: Value) => Array.from(v.data, Number);

/** f, its gradient and H·v for each axis, at some points: a program per problem, a step per point. */
async function around({ f, dimension: n }: Problem, points: readonly (readonly number[])[]) {
  const axes = Array.from({ length: n }, (_, k) => point(Array.from({ length: n }, (_, j) => +(j === k))));
  const run = await Run.start({}, { backend: "js" });
  const loop = run.loop((_, { x }: { x: Tensor }) => ({
    output: { f: f(x), gradient: grad(f)(x), hessian: axes.map((e) => hvp(f, x, e)) },
  }));
  const { output } = await loop.take(points.length, { x: value([points.length, n], points.flat(), "f64") });
  const row = (v: Value, k: number) => numbers(v).slice(k * n, (k + 1) * n);
  return points.map((_, k) => ({
    f: Number(output.f.data[k]),
    gradient: row(output.gradient, k),
    hessian: output.hessian.map((v) => row(v, k)),
  }));
}

/** Smallest eigenvalue of a symmetric matrix, by Jacobi's rotations. */
function lowest(matrix: readonly (readonly number[])[]): number {
  const a = matrix.map((row) => [...row]);
  const n = a.length;
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const angle = 0.5 * Math.atan2(2 * a[p]![q]!, a[q]![q]! - a[p]![p]!);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        for (const row of a) [row[p], row[q]] = [c * row[p]! - s * row[q]!, s * row[p]! + c * row[q]!];
        const [up, uq] = [a[p]!, a[q]!];
        a[p] = up.map((x, k) => c * x - s * uq[k]!);
        a[q] = up.map((x, k) => s * x + c * uq[k]!);
      }
    }
  }
  return Math.min(...a.map((row, k) => row[k]!));
}

/** A point of the domain. */
const drawn = ({ domain }: Problem, k: number) =>
  domain.map(([low, high], j) => low + (high - low) * uniform(key(7), k, j));

test("each function has golden numbers, and none is without a row", () => {
  expect([...new Set(golden.problems.map((c) => c.name))].sort()).toEqual(names.toSorted());
  for (const name of names) expect(table[name]!.name).toBe(name);
});

describe.each(golden.problems)("$name, n = $dimension", (c) => {
  const row = table[c.name]!;
  const problem = row.dimension === c.dimension ? row : row.of!(c.dimension);

  test("start, minima and local minima are those of the file", () => {
    expect(problem.dimension).toBe(c.dimension);
    expect(problem.start).toEqual(c.start);
    expect(problem.atStart).toBeCloseTo(c.atStart, 12);
    for (const kind of ["minima", "localMinima"] as const) {
      const sorted = (list: readonly { at: readonly number[]; value: number }[]) =>
        list.map(({ at, value }) => [value, ...at].map((x) => Number(x.toFixed(12)) + 0)).sort();
      expect(sorted(problem[kind]), kind).toEqual(sorted(c[kind]));
    }
    expect(problem.domain.length).toBe(c.dimension);
  });

  test("values and gradients", async () => {
    const at = await around(problem, [c.start, ...c.points.map((p) => p.x)]);
    expect(Math.abs(at[0]!.f - c.atStart)).toBeLessThan(1e-13 * (1 + Math.abs(c.atStart)));
    c.points.forEach((p, k) => {
      const { f, gradient } = at[k + 1]!;
      const scale = 1 + Math.abs(p.f);
      expect(Math.abs(f - p.f), `f(${p.x})`).toBeLessThan(1e-13 * scale);
      const steepest = Math.max(1, ...p.gradient.map(Math.abs));
      p.gradient.forEach((g, j) => expect(Math.abs(gradient[j]! - g), `at ${p.x}`).toBeLessThan(1e-12 * steepest));
    });
  });

  test("at each minimum the gradient is 0 and the Hessian has no negative eigenvalue", async () => {
    const minima = [...c.minima, ...c.localMinima];
    const at = await around(
      problem,
      minima.map((m) => m.at),
    );
    minima.forEach((m, k) => {
      const { f, gradient, hessian } = at[k]!;
      const stiffest = Math.max(1, ...hessian.flat().map(Math.abs));
      expect(Math.abs(f - m.value)).toBeLessThan(1e-12 * (1 + Math.abs(m.value)));
      // A minimum is known to half a unit in the last place, which the stiffest axis multiplies.
      expect(Math.max(...gradient.map(Math.abs)), `${m.at}`).toBeLessThan(1e-14 * stiffest);
      if (m.curvature !== null) expect(Math.abs(lowest(hessian) - m.curvature)).toBeLessThan(1e-11 * stiffest);
    });
  });
});

describe.each(names)("%s", (name) => {
  const problem = table[name]!;

  test("its gradient is what finite differences give", async () => {
    const x = problem.start.map((t, k) => t + 0.01 * (k + 1));
    const h = 1e-5;
    const sides = x.flatMap((t, k) => [x.with(k, t + h), x.with(k, t - h)]);
    const [middle, ...rest] = await around(problem, [x, ...sides]);
    const steepest = Math.max(1, ...middle!.gradient.map(Math.abs));
    middle!.gradient.forEach((g, k) => {
      const slope = (rest[2 * k]!.f - rest[2 * k + 1]!.f) / (2 * h);
      expect(Math.abs(g - slope) / steepest).toBeLessThan(1e-7);
    });
  });

  test("nowhere in the domain is it lower than at its minima", async () => {
    const many = Array.from({ length: 200 }, (_, k) => drawn(problem, k));
    const least = Math.min(...(await around(problem, many)).map(({ f }) => f));
    expect(least).toBeGreaterThanOrEqual(problem.minima[0]!.value);
    for (const m of problem.localMinima) expect(m.value).toBeGreaterThan(problem.minima[0]!.value);
  });

  test("also in f32", async () => {
    const f = await evaluate(problem.f(point(problem.start, "f32")), { backend: "js" });
    expect(f.dtype).toBe("f32");
    expect(Math.abs(Number(f.data[0]) - problem.atStart)).toBeLessThan(1e-5 * (1 + Math.abs(problem.atStart)));
  });

  test("refuses an x of another shape", () => {
    const n = problem.dimension + 1;
    expect(() => problem.f(point(Array<number>(n).fill(0)))).toThrow(
      `${name}: x must be ${n - 1} floats, f32[${n - 1}] or f64[${n - 1}], got f64[${n}]`,
    );
  });
});

test("a dimension that there is not is refused", () => {
  expect(() => problems.rosenbrock.of!(1)).toThrow("rosenbrock: the dimension must be a whole number ≥ 2, got 1");
  expect(() => problems.ackley.of!(2.5)).toThrow("ackley: the dimension must be a whole number ≥ 1, got 2.5");
  expect(() => quadratic({ dimension: 1 })).toThrow("quadratic: the dimension must be a whole number ≥ 2, got 1");
  expect(() => quadratic({ condition: 0.5 })).toThrow("quadratic: the condition must be a finite number ≥ 1, got 0.5");
});

describe("quadratic", () => {
  const { best, eigenvalues, f, start } = quadratic({ condition: 100, dimension: 4 });
  const slope = async (x: readonly number[]) => numbers(await evaluate(grad(f)(point(x)), { backend: "js" }));

  test("its eigenvalues are in equal ratios", async () => {
    expect(await slope([1, 1, 1, 1])).toEqual(eigenvalues);
    expect(eigenvalues[0]).toBe(1);
    expect(eigenvalues[3]).toBeCloseTo(100, 10);
    expect(eigenvalues[1]! / eigenvalues[0]!).toBeCloseTo(eigenvalues[2]! / eigenvalues[1]!, 10);
  });

  /** ‖x‖ after each step of a loop in plain numbers. */
  function lengths(lr: number, momentum: number, steps: number): number[] {
    let x: number[] = [...start];
    let b = x.map(() => 0);
    return Array.from({ length: steps }, () => {
      b = b.map((t, k) => momentum * t + eigenvalues[k]! * x[k]!);
      x = x.map((t, k) => t - lr * b[k]!);
      return Math.hypot(...x);
    });
  }
  const rate = (lr: number, momentum: number, steps = 1000): number => {
    const all = lengths(lr, momentum, steps);
    return (all[steps - 1]! / all[steps / 2 - 1]!) ** (2 / steps);
  };

  test("the best rates are reached, and are the best", () => {
    const { gradientDescent: gd, heavyBall: ball } = best;
    expect(rate(gd.lr, 0)).toBeCloseTo(gd.factor, 6);
    for (const other of [0.9, 1.02]) expect(rate(gd.lr * other, 0)).toBeGreaterThan(gd.factor + 1e-4);
    // A double eigenvalue: k · factorᵏ, so the limit is approached like ln k / k.
    expect(rate(ball.lr, ball.momentum)).toBeCloseTo(ball.factor, 2);
    for (const other of [0.8, 1.2])
      expect(rate(ball.lr, 1 - (1 - ball.momentum) * other)).toBeGreaterThan(ball.factor + 1e-3);
  });
});

test("each row says what it is", () => {
  const texts = (p: Problem) => [p.title, p.formula, p.hard, p.source];
  for (const name of names) for (const text of texts(table[name]!)) expect(text.length, name).toBeGreaterThan(3);
  const f: (x: Tensor) => Tensor = problems.booth.f;
  expect(f(point([0, 0])).shape).toEqual([]);
});
