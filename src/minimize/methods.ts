/** The full-batch methods by name: what documentation and tests walk. A new method is a new row. */
import { conjugateGradient } from "./conjugate-gradient.ts";
import { gradientDescent } from "./gradient-descent.ts";
import { lbfgs } from "./lbfgs.ts";
import type { Method } from "./method.ts";
import { newtonCG } from "./newton-cg.ts";

export type MethodRow = {
  /** Every option has a default. */
  readonly make: () => Method;
  readonly summary: string;
  /** An iteration in the notation of the literature: g the gradient, x the point, α the step length. */
  readonly formula: string;
  /** Doubles kept from one iteration to the next, for each number of x. */
  readonly memory: string;
  /** What an iteration asks of f. */
  readonly cost: string;
  /** When to take it, and when not. */
  readonly when: string;
  readonly source: string;
};

export const methods = {
  gradientDescent: {
    make: gradientDescent,
    summary: "Steepest descent, its step by a line search: exact, Armijo, Wolfe, Barzilai and Borwein, or a number",
    formula:
      "x ← x − α g\n" +
      "armijo: α from twice the last one down until f(x − α g) ≤ f(x) − c₁ α g·g\n" +
      "wolfe: that, and |g(x − α g)·g| ≤ c₂ g·g\n" +
      "exact: α = g·g / g·H g where f is a parabola along g, else the lowest point by Brent's method\n" +
      "barzilaiBorwein: α = s·s / s·y (long) or s·y / y·y (short) of the last step s and change of gradient y,\n" +
      "  less where f(x − α g) is not below the largest of the last `history` values by c₁ α g·g",
    memory: "0",
    cost: "1 to 2 gradients; exact where f is no parabola: 1 product H v, 2 gradients, about 15 values",
    when: 'To see what is there. With "barzilaiBorwein" a method for large smooth problems: cheap, and not monotone.',
    source: "Cauchy 1847; Armijo 1966; Barzilai & Borwein 1988; Raydan 1997; Brent 1973",
  },
  conjugateGradient: {
    make: conjugateGradient,
    summary:
      "Nonlinear conjugate gradients: β of Polak and Ribière, Fletcher and Reeves, Hestenes and Stiefel, Dai and Yuan",
    formula:
      "d ← −g + β d, y = g − g₋, g₋ the gradient before\n" +
      "β = g·g / g₋·g₋ (fletcherReeves), max(0, g·y / g₋·g₋) (polakRibiere),\n" +
      "  max(0, g·y / d·y) (hestenesStiefel), g·g / d·y (daiYuan)\n" +
      "x ← x + α d, α by the strong Wolfe conditions or exact\n" +
      "d = −g again after `restart` iterations, where d does not descend, and where |g·g₋| ≥ ½ g·g",
    memory: "2",
    cost: "2 to 3 gradients, since its line search is strict",
    when: "Where the memory of L-BFGS is too much; otherwise that needs fewer gradients.",
    source: "Hestenes & Stiefel 1952; Fletcher & Reeves 1964; Polak & Ribière 1969; Dai & Yuan 1999",
  },
  lbfgs: {
    make: lbfgs,
    summary: "Quasi-Newton steps by the last pairs of step and change of gradient; strong Wolfe conditions",
    formula:
      "B = (s·y / y·y) I of the newest pair of step s and change of gradient y; then for each pair kept, the oldest first:\n" +
      "  B ← (I − s yᵀ / s·y) B (I − y sᵀ / s·y) + s sᵀ / s·y\n" +
      "x ← x − α B g, α = 1 if it has the strong Wolfe conditions, which keep s·y > 0",
    memory: "2 · history",
    cost: "1 gradient, sometimes 2",
    when: "The first to try for any smooth function without noise, from two numbers to millions.",
    source: "Nocedal 1980; Liu & Nocedal 1989; Nocedal & Wright 2006, algorithms 7.4, 7.5, 3.5, 3.6",
  },
  newtonCG: {
    make: newtonCG,
    summary: "Truncated Newton: H d = −g by conjugate gradients, as exactly as it is worth; negative curvature is left",
    formula:
      "d by conjugate gradients on H d = −g, until ‖H d + g‖ ≤ η ‖g‖ or H curves down\n" +
      "η = min(½, √‖g‖) (superlinear), min(½, ‖g‖) (quadratic), or the number given\n" +
      "x ← x + α d, α = 1 if it has the strong Wolfe conditions",
    memory: "0, and 4 within an iteration",
    cost: "1 gradient, and products H v, about 4 passes each, as many as the conditioning asks for",
    when: "Few numbers, ill-conditioned, or where the last digits are wanted; saddle points do not hold it.",
    source: "Dembo & Steihaug 1983; Nocedal & Wright 2006, algorithm 7.1; products: Pearlmutter 1994",
  },
} as const satisfies Record<string, MethodRow>;

export type MethodName = keyof typeof methods;
