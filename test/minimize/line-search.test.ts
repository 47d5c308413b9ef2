/** Line searches on functions whose lowest points are known, on random ones, and where there is nothing to find. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exact } from "../../src/minimize/exact.ts";
import { type Found, Line, type Trial } from "../../src/minimize/line.ts";
import { armijo, strongWolfe } from "../../src/minimize/line-search.ts";
import { dot } from "../../src/minimize/vector.ts";
import { alongOne, bowl, objective, type Plain, vector } from "./objectives.ts";

/** A line from x along `direction`, downhill unless given. */
async function lineOf(plain: Plain, x: readonly number[], direction?: readonly number[]): Promise<Line> {
  const f = objective(plain);
  const from = await f.at(vector(...x));
  return new Line(f, from, direction ? vector(...direction) : from.gradient.map((g) => -g));
}

function trialOf(found: Found): Trial {
  if ("stuck" in found) throw new Error(found.stuck);
  return found.trial;
}

const wolfe = { c1: 1e-4, c2: 0.9 };

describe("strongWolfe", () => {
  /** Σ w (log cosh)(x − c) + a sin(b x): many humps over a bowl, every derivative known. */
  const humps = fc.record({
    c: fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 4 }),
    w: fc.double({ min: 0.01, max: 100, noNaN: true }),
    a: fc.double({ min: 0, max: 3, noNaN: true }),
    b: fc.double({ min: 0.1, max: 10, noNaN: true }),
    first: fc.double({ min: 1e-6, max: 1e4, noNaN: true }),
    c2: fc.constantFrom(0.1, 0.5, 0.9),
  });

  test("every step meets both conditions, on random functions from random first lengths", async () => {
    await fc.assert(
      fc.asyncProperty(humps, async ({ c, w, a, b, first, c2 }) => {
        const f = (x: Float64Array) =>
          x.reduce((sum, t, k) => sum + w * 0.5 * (t - c[k]!) ** 2 + a * Math.sin(b * t), 0);
        const gradient = (x: Float64Array) => x.map((t, k) => w * (t - c[k]!) + a * b * Math.cos(b * t));
        const line = await lineOf(
          { f, gradient } as Plain,
          c.map(() => 0.3),
        );
        fc.pre(Math.abs(line.start.slope) > 1e-6);
        const found = await strongWolfe(line, first, { c1: 1e-4, c2 });
        const { length, value, slope } = trialOf(found);
        expect(found).toMatchObject({ wolfe: true });
        expect(value).toBeLessThanOrEqual(line.start.value + 1e-4 * length * line.start.slope + line.noise);
        expect(Math.abs(slope)).toBeLessThanOrEqual(c2 * Math.abs(line.start.slope));
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test("of a parabola the cubic finds the minimum at once", async () => {
    const line = await lineOf(bowl([2]), [3]);
    const { length } = trialOf(await strongWolfe(line, 10, { c1: 1e-4, c2: 1e-3 }));
    expect(length).toBeCloseTo(0.5, 12);
    expect(line.tried).toHaveLength(2);
  });

  test("an exact one too says where f falls without end", async () => {
    const search = async (f: (x: number) => number, slope: (x: number) => number, first: number) =>
      exact(await lineOf(alongOne(f, slope), [0]), first);
    const line = await search(
      (x) => -x,
      () => -1,
      1,
    );
    expect(line).toMatchObject({ stuck: expect.stringContaining("without end") });
    for (const first of [1, 1e4]) {
      const steep = await search(
        (x) => -Math.exp(x),
        (x) => -Math.exp(x),
        first,
      );
      expect(steep).toMatchObject({ stuck: expect.stringContaining("to -Infinity at a step of") });
    }
  });

  test("shrinks back from where f is not a number", async () => {
    const plain = alongOne(
      (x) => x - Math.log(x),
      (x) => 1 - 1 / x,
    );
    const line = await lineOf(plain, [5]); // to 0 in 6.25, and no further
    const t = trialOf(await strongWolfe(line, 1e6, wolfe));
    expect(line.tried[0]!.value).toBeNaN();
    expect(t.value).toBeLessThan(line.start.value);
    expect(Math.abs(t.slope)).toBeLessThanOrEqual(-0.9 * line.start.slope);
  });

  test("says where f falls without end", async () => {
    const steep = await strongWolfe(
      await lineOf(
        alongOne(
          (x) => -x,
          () => -1,
        ),
        [0],
      ),
      1,
      wolfe,
    );
    expect(steep).toMatchObject({ stuck: expect.stringContaining("without end") });
    const log = await strongWolfe(
      await lineOf(
        alongOne(
          (x) => -Math.exp(x),
          (x) => -Math.exp(x),
        ),
        [0],
      ),
      1,
      wolfe,
    );
    expect(log).toMatchObject({ stuck: expect.stringContaining("to -Infinity at a step of") });
  });
});

describe("armijo", () => {
  test("takes the first length that falls enough, by parabolas between a tenth and a half", async () => {
    const line = await lineOf(bowl([1]), [1]);
    expect(trialOf(await armijo(line, 100, 1e-4)).length).toBe(1);
    // φ(a) = ½ (1 − a)²: from 100 the parabola points to 1, a hundredth; a tenth is the least: 10, then 1
    expect(line.tried.map((t) => t.length)).toEqual([100, 10, 1]);
  });

  test("a reference above f lets it rise", async () => {
    const line = await lineOf(bowl([1]), [1]);
    const { length, value } = trialOf(await armijo(line, 2.5, 1e-4, 2));
    expect(length).toBe(2.5);
    expect(value).toBeGreaterThan(line.start.value);
  });
});

describe("exact", () => {
  const along = async (plain: Plain, x: number, first = 1) =>
    trialOf(await exact(await lineOf(plain, [x], [1]), first));

  test("a parabola takes one trial: −φ′ / φ″", async () => {
    const line = await lineOf(bowl([3, 7]), [1, 2]);
    const { length, point } = trialOf(await exact(line, 100));
    const g = [3, 14];
    expect(length).toBe((9 + 196) / (27 + 7 * 196)); // g·g / g·Hg
    expect(line.tried).toHaveLength(1);
    expect(dot(point.gradient, vector(...g))).toBeCloseTo(0, 13);
  });

  // From below, lowest points that a formula gives.
  const cases: Record<string, [Plain, x: number, lowest: number]> = {
    "cos x": [
      alongOne(
        Math.cos,
        (x) => -Math.sin(x),
        (x) => -Math.cos(x),
      ),
      1,
      Math.PI,
    ],
    "x − log x": [
      alongOne(
        (x) => x - Math.log(x),
        (x) => 1 - 1 / x,
        (x) => 1 / x ** 2,
      ),
      0.01,
      1,
    ],
    "x⁴ − x": [
      alongOne(
        (x) => x ** 4 - x,
        (x) => 4 * x ** 3 - 1,
        (x) => 12 * x ** 2,
      ),
      0,
      0.25 ** (1 / 3),
    ],
    "|x − 2|": [
      alongOne(
        (x) => Math.abs(x - 2),
        (x) => Math.sign(x - 2),
        () => 0,
      ),
      0,
      2,
    ],
    "eˣ − 5 x": [
      alongOne(
        (x) => Math.exp(x) - 5 * x,
        (x) => Math.exp(x) - 5,
        Math.exp,
      ),
      -10,
      Math.log(5),
    ],
  };
  test.each(Object.entries(cases))("%s, from several first lengths", async (_, [plain, x, lowest]) => {
    for (const first of [1e-3, 0.7, 1, 2]) {
      const t = await along(plain, x, first);
      // Values are flat to within rounding around a minimum: the place is known to the root of that.
      expect(Math.abs(t.point.x[0]! - lowest) / lowest).toBeLessThan(1e-7);
    }
  });
});

describe("nothing to find", () => {
  test("a direction that does not descend is refused, with its slope", async () => {
    await expect(lineOf(bowl([2]), [3], [1])).rejects.toThrow("slope along the direction is 6");
    await expect(lineOf(bowl([2]), [0])).rejects.toThrow("no descent direction");
  });

  const searches = {
    strongWolfe: (line: Line) => strongWolfe(line, 1, wolfe),
    armijo: (line: Line) => armijo(line, 1, 1e-4),
    exact: (line: Line) => exact(line, 1),
  };
  test.each(Object.entries(searches))("%s: f is no number anywhere along the line", async (_, search) => {
    const edge = alongOne(
      (x) => (x > 0 ? NaN : -x),
      () => -1,
      () => 0,
    );
    const line = await lineOf(edge, [0], [1]);
    await expect(search(line)).rejects.toThrow(
      /not finite at any step length tried, from 0 with slope -1 \(1 → NaN, 0.1 → NaN/,
    );
  });

  test.each(Object.entries(searches))("%s: a gradient that is not that of f", async (_, search) => {
    const wrong = alongOne(
      (x) => x + 1,
      () => -1,
      () => 0,
    );
    const found = await search(await lineOf(wrong, [0], [1]));
    expect(found).toMatchObject({
      stuck: expect.stringMatching(/no step lowers f, from 1 with slope -1.*1 → 2.*stopGradient/),
    });
  });
});
