/** The problem that theory is about: a quadratic of a given condition, with the best rates that there are on it. */
import { fail } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import type { Tensor } from "../ir/tensor.ts";
import { literal } from "../ir/tensor.ts";
import { value } from "../ir/value.ts";
import { type Problem, requireDimension, requireVector } from "./problem.ts";

export type Quadratic = Problem & {
  /** λ of each coordinate, from 1 to the condition. */
  readonly eigenvalues: readonly number[];
  /** Constant hyper-parameters with the smallest factor by which the distance to 0 falls in a step, in the limit. */
  readonly best: {
    /** lr 2 / (λ₁ + λₙ), factor (κ − 1) / (κ + 1). */
    readonly gradientDescent: { readonly lr: number; readonly factor: number };
    /** lr 4 / (√λ₁ + √λₙ)², momentum ((√κ − 1) / (√κ + 1))², factor (√κ − 1) / (√κ + 1). */
    readonly heavyBall: { readonly lr: number; readonly momentum: number; readonly factor: number };
  };
};

export type QuadraticOptions = {
  /** κ = λₙ / λ₁, at least 1; 10 unless given. */
  readonly condition?: number;
  /** 2 unless given. */
  readonly dimension?: number;
};

/** ½ Σ λₖ xₖ² with λ from 1 to `condition` in equal ratios, from (1, …, 1). */
export function quadratic(options: QuadraticOptions = {}): Quadratic {
  checkOptions("quadratic", options, ["condition", "dimension"]);
  const { condition, dimension: n = 2 } = { condition: 10, ...options };
  requireDimension("quadratic", n, 2);
  if (!(condition >= 1 && Number.isFinite(condition)))
    fail(`quadratic: the condition must be a finite number ≥ 1, got ${condition}`);
  const eigenvalues = Array.from({ length: n }, (_, k) => condition ** (k / (n - 1)));
  const root = Math.sqrt(condition);
  const factor = (root - 1) / (root + 1);
  return {
    name: "quadratic",
    title: `Quadratic of condition ${condition}`,
    formula: "½ Σ λₖ xₖ², λₖ = κ^((k − 1) / (n − 1))",
    dimension: n,
    of: (dimension) => quadratic({ condition, dimension }),
    f(x: Tensor) {
      requireVector("quadratic", x, n);
      return literal(value([n], eigenvalues, x.dtype))
        .mul(x.square())
        .sum()
        .mul(0.5);
    },
    start: Array<number>(n).fill(1),
    atStart: eigenvalues.reduce((a, b) => a + b) / 2,
    minima: [{ at: Array<number>(n).fill(0), value: 0 }],
    localMinima: [],
    domain: Array.from({ length: n }, () => [-2, 2] as const),
    hard: "Its condition alone: a rate small enough for λₙ takes κ times as many steps for λ₁, with momentum √κ.",
    source: "Polyak 1964; Nocedal & Wright 2006, §3.3; Goh 2017 has the rates in pictures",
    eigenvalues,
    best: {
      gradientDescent: { lr: 2 / (1 + condition), factor: (condition - 1) / (condition + 1) },
      heavyBall: { lr: 4 / (1 + root) ** 2, momentum: factor ** 2, factor },
    },
  };
}
