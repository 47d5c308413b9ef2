/** Test functions of any number of variables: a row is the usual one, and `of(n)` gives the others. MGH: see fixed.ts. */
import { norm } from "../ir/math.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type Minimum, type Problem, requireDimension, requireVector } from "./problem.ts";

type Written = Omit<Problem, "dimension" | "of">;

/** `write` is what depends on n. */
function family(least: number, usual: number, write: (n: number) => Written): Problem {
  const of = (n: number): Problem => {
    const { f, ...about } = write(n);
    requireDimension(about.name, n, least);
    const checked = (x: Tensor) => {
      requireVector(about.name, x, n);
      return f(x);
    };
    return { ...about, dimension: n, of, f: checked };
  };
  return of(usual);
}

/** n numbers, the first ones given in turn. */
const repeat = <T>(n: number, ...xs: readonly T[]): T[] => Array.from({ length: n }, (_, k) => xs[k % xs.length]!);
/** x everywhere but at k. */
const except = (n: number, x: number, k: number, there: number): number[] => repeat(n, x).with(k, there);
const each = <T>(n: number, make: (k: number) => T): T[] => Array.from({ length: n }, (_, k) => make(k));

/** Found by scripts/golden/problems.py; of each n ≥ 4 there is one. */
const rosenbrockNearMinusOne: Readonly<Record<number, Minimum>> = {
  4: {
    at: [-0.7756592265653526, 0.6130933654850435, 0.38206284633839316, 0.1459720185521946],
    value: 3.701428610430017,
  },
  10: {
    at: [
      -0.9932633728563689, 0.9966060394434352, 0.9982406113911125, 0.9989884337678007, 0.999226153439665,
      0.9990736481633443, 0.9984541774029088, 0.9970562516630377, 0.9941793752280661, 0.9883926301288679,
    ],
    value: 3.986579112347138,
  },
};

export const rosenbrock = family(2, 2, (n) => ({
  name: "rosenbrock",
  title: "Rosenbrock",
  formula: "Σ 100 (xₖ₊₁ − xₖ²)² + (1 − xₖ)²",
  f(x) {
    const [a, b] = [x.slice(0, 0, n - 1), x.slice(0, 1, n)];
    return b.sub(a.square()).square().mul(100).add(a.sub(1).square()).sum();
  },
  start: repeat(n, -1.2, 1),
  // 24.2 of each (−1.2, 1), and 484 of each (1, −1.2)
  atStart: 24.2 * Math.floor(n / 2) + 484 * Math.floor((n - 1) / 2),
  minima: [{ at: repeat(n, 1), value: 0 }],
  localMinima: rosenbrockNearMinusOne[n] ? [rosenbrockNearMinusOne[n]] : [],
  domain: each(n, (k) => (k === 0 ? [-2, 2] : [-1, 3])),
  hard: "A bent valley with a nearly flat floor, condition 2,500 at its end; from n = 4 on a local minimum near x₁ = −1.",
  source: "Rosenbrock 1960; MGH 1; in n variables as scipy.optimize.rosen has it",
}));

/** Of one coordinate: where x⁴ − 16 x² + 5 x is lowest, and its other minimum. */
const deep = { at: -2.903534027771177, value: -39.16616570377142 };
const shallow = { at: 2.746802770990837, value: -25.02944665528394 };

export const styblinskiTang = family(1, 2, (n) => ({
  name: "styblinskiTang",
  title: "Styblinski–Tang",
  formula: "½ Σ xₖ⁴ − 16 xₖ² + 5 xₖ",
  f(x) {
    const xx = x.square();
    return xx.square().sub(xx.mul(16)).add(x.mul(5)).sum().mul(0.5);
  },
  start: repeat(n, 0),
  atStart: 0,
  minima: [{ at: repeat(n, deep.at), value: n * deep.value }],
  localMinima: [
    ...(n > 1
      ? each(n, (k) => ({ at: except(n, deep.at, k, shallow.at), value: (n - 1) * deep.value + shallow.value }))
      : []),
    { at: repeat(n, shallow.at), value: n * shallow.value },
  ],
  domain: repeat(n, [-5, 5]),
  hard: "2ⁿ minima: each coordinate that starts on the wrong side of 0.157 ends in the wrong valley.",
  source: "Styblinski & Tang 1990; the start is ours",
}));

export const ackley = family(1, 2, (n) => ({
  name: "ackley",
  title: "Ackley",
  formula: "20 + e − 20 exp(−0.2 √(Σ xₖ² / n)) − exp(Σ cos(2 π xₖ) / n)",
  f(x) {
    // Both differences as expm1, exact at 0; norm has the slope 0 at the tip of the cone.
    const cone = norm(x).mul(-0.2 / Math.sqrt(n));
    const waves = x
      .mul(2 * Math.PI)
      .cos()
      .sub(1)
      .mean();
    return cone.expm1().mul(-20).sub(waves.expm1().mul(Math.E));
  },
  start: repeat(n, 0.05),
  atStart: 0.3288422061428175,
  minima: [{ at: repeat(n, 0), value: 0 }],
  localMinima:
    n === 2
      ? [1, -1].flatMap((s) =>
          each(2, (k) => ({ at: except(2, 0, k, s * 0.9521665459501717), value: 2.579927557029872 })),
        )
      : [],
  domain: repeat(n, [-5, 5]),
  hard: "A local minimum near every whole point, on a plain that rises less the farther out; a kink at the minimum.",
  source: "Ackley 1987; Bäck 1996 in n variables",
}));

export const rastrigin = family(1, 2, (n) => ({
  name: "rastrigin",
  title: "Rastrigin",
  formula: "10 n + Σ xₖ² − 10 cos(2 π xₖ)",
  // As xₖ² + 10 (1 − cos), exact at 0.
  f: (x) =>
    x
      .square()
      .add(
        x
          .mul(2 * Math.PI)
          .cos()
          .sub(1)
          .mul(-10),
      )
      .sum(),
  start: repeat(n, 0.1),
  atStart: n * 1.9198300562505257,
  minima: [{ at: repeat(n, 0), value: 0 }],
  localMinima: [1, -1].flatMap((s) =>
    each(n, (k) => ({ at: except(n, 0, k, s * 0.9949586376523348), value: 0.9949590570932914 })),
  ),
  domain: repeat(n, [-5.12, 5.12]),
  hard: "A local minimum near every whole point of the box, 11ⁿ of them.",
  source: "Rastrigin 1974; Mühlenbein, Schomisch & Born 1991 in n variables",
}));
