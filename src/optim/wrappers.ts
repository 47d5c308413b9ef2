/**
 * What goes around any optimizer, by name: one row each, as in optimizers.ts. The documentation and the tests walk this
 * table; whatever has a row here stands up to the tests' optimizers within it.
 */
import { ema, lookahead, swa } from "./averaging.ts";
import type { Optimizer } from "./transform.ts";

export type WrapperRow = {
  // any: each has options of its own, and says which where there is no such one
  readonly make: (rule: Optimizer, options?: any) => Optimizer;
  readonly summary: string;
  /** In the paper's notation, a line for each assignment: θ the parameters after the rule's step, t the step. */
  readonly formula: string;
  /** When to take it, and when not: a sentence or two. */
  readonly when: string;
  /** Paper and algorithm. */
  readonly source: string;
};

export const wrappers = {
  lookahead: {
    make: lookahead,
    summary: "Slow weights that follow the rule's and call them back every few steps; evaluated are the slow ones",
    formula: "every k steps: φ ← φ + α (θ − φ), θ ← φ",
    when: "Where a rule swings or its rate is hard to tune; costs one copy of the weights. Unneeded with a schedule that falls to 0.",
    source: "Zhang, Lucas, Hinton & Ba 2019, algorithm 1",
  },
  ema: {
    make: ema,
    summary: "The exponential average of the weights is evaluated and kept, training goes on from the weights",
    formula: "a ← β a + (1 − β) θ\nevaluated: a / (1 − βᵗ)",
    when: "Nearly always a little better than the last weights at a constant rate: images, diffusion. With batch norms, whose statistics fit recomputes.",
    source: "Polyak & Juditsky 1992; Tarvainen & Valpola 2017",
  },
  swa: {
    make: swa,
    summary: "The mean of the weights from a step on is evaluated and kept, training goes on from the weights",
    formula: "at the n-th of the steps: a ← a + (θ − a) / n\nevaluated: a",
    when: "The last quarter of a training at a high constant or cyclical rate, once per epoch: flatter minima for one copy of the weights.",
    source: "Izmailov et al. 2018, algorithm 1; over all steps: Polyak & Juditsky 1992",
  },
} as const satisfies Record<string, WrapperRow>;

export type WrapperName = keyof typeof wrappers;
