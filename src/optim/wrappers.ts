/**
 * What goes around any optimizer, by name: one row each, as in optimizers.ts. The documentation and the tests walk this
 * table; whatever has a row here stands up to the tests' optimizers within it.
 */
import { ema, lookahead, swa } from "./averaging.ts";
import { centralize } from "./centralize.ts";
import { agc } from "./clip.ts";
import { chain } from "./combine.ts";
import { type NoiseOptions, noise } from "./noise.ts";
import { sam } from "./sam.ts";
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
    formula: "every `steps`: φ ← φ + α (θ − φ), θ ← φ\nevaluated: φ",
    when: "Where a rule swings or its rate is hard to tune; costs one copy of the weights. Unneeded with a schedule that falls to 0.",
    source: "Zhang, Lucas, Hinton & Ba 2019, algorithm 1",
  },
  ema: {
    make: ema,
    summary: "The exponential average of the weights is evaluated and kept, training goes on from the weights",
    formula:
      "after each `every` steps, n the number of times: a ← β a + (1 − β) θ, β the decay\n" +
      "evaluated: a / (1 − βⁿ); without debias a, whose first is θ",
    when: "Nearly always a little better than the last weights at a constant rate: images, diffusion. With batch norms, whose statistics fit recomputes.",
    source: "Polyak & Juditsky 1992; Tarvainen & Valpola 2017",
  },
  swa: {
    make: swa,
    summary: "The mean of the weights from a step on is evaluated and kept, training goes on from the weights",
    formula:
      "after step `from` and each `every` steps later, n the number of times: a ← a + (θ − a) / n\n" +
      "evaluated: a, and θ before",
    when: "The last quarter of a training at a high constant or cyclical rate, once per epoch: flatter minima for one copy of the weights.",
    source: "Izmailov et al. 2018, algorithm 1; over all steps: Polyak & Juditsky 1992",
  },
  sam: {
    make: sam,
    summary: "The gradient is taken at the worst point nearby; adaptive, by the scale of each parameter",
    formula:
      "ε = ρ g(θ) / ‖g(θ)‖, one norm over all parameters\ng = g(θ + ε)\n" +
      "adaptive: ε = ρ T² g(θ) / ‖T g(θ)‖, T = |θ| + η, and ρ 0.5 unless given",
    when: "Images and other tasks with much to learn by heart: better held-out scores for twice the time per step.",
    source: "Foret et al. 2021, algorithm 1; adaptive: Kwon et al. 2021",
  },
  agc: {
    make: (rule, { limit, ...options }: { limit?: number; eps?: number } = {}) => chain(agc(limit, options), rule),
    summary: "Before the rule: each unit's gradient is clipped to a share of the norm of its weights",
    formula: "gᵢ ← gᵢ min(1, limit · max(‖pᵢ‖, ε) / ‖gᵢ‖), i a row of the weight; a vector is one",
    when: "Deep networks without normalisation, at large batches and rates. Not for the last layer, says the paper.",
    source: "Brock et al. 2021, eq. 3",
  },
  centralize: {
    make: (rule) => chain(centralize(), rule),
    summary: "Before the rule: each unit's gradient without its mean",
    formula: "gᵢ ← gᵢ − mean(gᵢ), i a row of the weight; vectors stay",
    when: "Convolutional networks: a little faster and smoother, for nothing.",
    source: "Yong et al. 2020, eq. 1",
  },
  noise: {
    make: (rule, options?: NoiseOptions) => chain(noise(options), rule),
    summary: "Before the rule: normal noise on the gradient, which fades",
    formula: "g ← g + N(0, η / (1 + t)^γ), t the steps taken before",
    when: "Very deep or oddly wired networks that get stuck from some starts; seldom otherwise.",
    source: "Neelakantan et al. 2015, eq. 1",
  },
} as const satisfies Record<string, WrapperRow>;

export type WrapperName = keyof typeof wrappers;
