/**
 * The optimizers by name: one row each, with its dialects and their defaults. The command line, the documentation and
 * the tests walk this table; a new optimizer is a new row. Every rule is a chain of the parts in rules.ts.
 *
 * A library's defaults are those of PyTorch 2.13, Optax 0.2.8 and Keras 3.15, and golden trajectories hold each dialect
 * to its library. `weightDecay` acts where that dialect puts it: joined to the gradient (L2) in PyTorch and, as
 * `add_decayed_weights` in front, in Optax; Keras first shrinks the weights by 1 − lr·λ, for every optimizer.
 */
import { fail } from "../ir/fail.ts";
import { chain } from "./combine.ts";
import type { Dialect } from "./hyper.ts";
import { matrixOptimizers } from "./matrix-optimizers.ts";
import { row } from "./row.ts";
import {
  additiveMoments,
  maxNorm,
  nesterovMoments,
  rectified,
  rootDeltas,
  surprise,
  twoAverages,
} from "./rules/adaptive.ts";
import { prodigyRule } from "./rules/prodigy.ts";
import { rootMoment, scheduleFree, warming } from "./rules/schedule-free.ts";
import { resilient, signOfMomentum } from "./rules/sign.ts";
import { heavyBall, maxMoments, moments, rootMeanSquare, rootSum, steepest, trustRatio } from "./rules.ts";
import { coupled, decayed, shrinking } from "./weight-decay.ts";

const descent = { torch: { weightDecay: 0 }, optax: { weightDecay: 0 }, keras: { weightDecay: 0 } };
const ball = {
  torch: { momentum: 0.9, dampening: 0, weightDecay: 0 },
  optax: { momentum: 0.9, dampening: 0, weightDecay: 0 },
  keras: { momentum: 0.9, dampening: 0, weightDecay: 0, lr: 0.01 },
};
const averages = { b1: 0.9, b2: 0.999, eps: 1e-8, epsRoot: 0, weightDecay: 0 };
const kerasAverages = { ...averages, eps: 1e-7, lr: 1e-3 };
const nesterovAverages = { ...averages, momentumDecay: 0.004 };
const resilience = { etaMinus: 0.5, etaPlus: 1.2, minStep: 1e-6, maxStep: 50 };
const lrInBuffer = (dialect: Dialect) => (dialect === "keras" ? "inside" : "outside");

const prodigyDefaults = { b1: 0.9, b2: 0.999, eps: 1e-8, d0: 1e-6, dCoef: 1, safeguardWarmup: false, weightDecay: 0 };

export const optimizers = {
  gradientDescent: row<"weightDecay">("gradientDescent", {
    lr: 0.1,
    dialects: descent,
    summary: "Steepest descent on the whole data: p − lr · g",
    formula: "p ← p − η g",
    when: "Few examples and a smooth loss, where the whole data fit a step; the downhill/minimize methods find their own rate.",
    source: "Cauchy 1847",
    rule: (o) => coupled(o, steepest()),
  }),

  sgd: row<"weightDecay">("sgd", {
    lr: 0.01,
    dialects: { ...descent, torch: { weightDecay: 0, lr: 1e-3 }, keras: { weightDecay: 0, lr: 0.01 } },
    summary: "Steepest descent on mini-batches: p − lr · g",
    formula: "p ← p − η g",
    when: "The baseline: cheapest step, no state. Needs a tuned rate and a schedule that lets it fall.",
    source: "Robbins & Monro 1951",
    rule: (o) => coupled(o, steepest()),
  }),

  /** Momentum in the literature has no default; 0.9 is Sutskever's and everybody's. */
  momentum: row<"momentum" | "dampening" | "weightDecay", "momentumCycle">("momentum", {
    lr: 0.01,
    dialects: ball,
    optional: ["momentumCycle"],
    summary: "Heavy ball: b ← μ b + g, p − lr · b; Keras keeps lr · g in b",
    formula: "b ← μ b + (1 − τ) g, at the first step b = g\np ← p − η b\nkeras: b ← μ b + (1 − τ) η g, p ← p − b",
    when: "Convolutional networks and other well-scaled losses, with a tuned rate and a schedule.",
    source: "Polyak 1964; dampening is PyTorch's",
    rule: (o) => coupled(o, heavyBall(o, lrInBuffer(o.dialect))),
  }),

  nesterov: row<"momentum" | "weightDecay", "momentumCycle">("nesterov", {
    lr: 0.01,
    dialects: {
      torch: { momentum: 0.9, weightDecay: 0 },
      optax: { momentum: 0.9, weightDecay: 0 },
      keras: { momentum: 0.9, weightDecay: 0, lr: 0.01 },
    },
    optional: ["momentumCycle"],
    summary: "Momentum that looks ahead: b ← μ b + g, p − lr · (g + μ b); Keras keeps lr · g in b",
    formula: "b ← μ b + g\np ← p − η (g + μ b)\nkeras: b ← μ b + η g, p ← p − (η g + μ b)",
    when: "As momentum; a little faster and more stable at high μ.",
    source: "Nesterov 1983; Sutskever et al. 2013, with their change of variables undone",
    rule: (o) => coupled(o, heavyBall({ ...o, nesterov: true }, lrInBuffer(o.dialect))),
  }),

  adagrad: row<"eps" | "initialAccumulator" | "lrDecay" | "weightDecay">("adagrad", {
    lr: 0.01,
    dialects: {
      torch: { eps: 1e-10, initialAccumulator: 0, lrDecay: 0, weightDecay: 0, lr: 0.01 },
      optax: { eps: 1e-7, initialAccumulator: 0.1, lrDecay: 0, weightDecay: 0 },
      keras: { eps: 1e-7, initialAccumulator: 0.1, lrDecay: 0, weightDecay: 0, lr: 1e-3 },
    },
    summary: "s ← s + g², p − lr · g / (√s + ε); Optax and Keras: g / √(s + ε)",
    formula:
      "s ← s + g²\np ← p − η / (1 + (t − 1) lrDecay) · g / (√s + ε)\n" + "optax, keras: √(s + ε) in place of √s + ε",
    when: "Sparse features such as word counts in convex models. Its rate only falls, so long trainings of networks stall.",
    source: "Duchi, Hazan & Singer 2011, the diagonal form; lrDecay is PyTorch's",
    rule: (o) => coupled(o, rootSum({ ...o, inRoot: o.dialect !== "torch" })),
  }),

  /** Keras and Optax keep lr · direction in the momentum's buffer, PyTorch the direction. */
  rmsprop: row<"rho" | "eps" | "momentum" | "nesterov" | "centered" | "weightDecay">("rmsprop", {
    lr: 1e-3,
    dialects: {
      torch: { rho: 0.99, eps: 1e-8, momentum: 0, nesterov: false, centered: false, weightDecay: 0, lr: 0.01 },
      optax: { rho: 0.9, eps: 1e-8, momentum: 0, nesterov: false, centered: false, weightDecay: 0 },
      keras: { rho: 0.9, eps: 1e-7, momentum: 0, nesterov: false, centered: false, weightDecay: 0, lr: 1e-3 },
    },
    summary: "v ← ρ v + (1 − ρ) g², p − lr · g / (√v + ε); Optax and Keras: g / √(v + ε)",
    formula:
      "v ← ρ v + (1 − ρ) g²\np ← p − η g / (√v + ε)\n" +
      "optax, keras: √(v + ε) in place of √v + ε\n" +
      "centered: m ← ρ m + (1 − ρ) g, and v − m² in place of v\n" +
      "momentum: b ← μ b + g / (√v + ε), p ← p − η b; nesterov as in nesterov; optax, keras: η within b",
    when: "Recurrent networks and reinforcement learning, where older recipes ask for it; else Adam.",
    source: "Tieleman & Hinton 2012, lecture 6.5; centred: Graves 2013, eq. 38-39; nesterov is Optax'",
    rule: (o) => {
      const inner = rootMeanSquare({ ...o, inRoot: o.dialect !== "torch" });
      return coupled(o, o.momentum ? chain(inner, heavyBall(o, o.dialect === "torch" ? "outside" : "inside")) : inner);
    },
  }),

  adam: row<"b1" | "b2" | "eps" | "epsRoot" | "weightDecay", "momentumCycle">("adam", {
    lr: 1e-3,
    dialects: { torch: { ...averages, lr: 1e-3 }, optax: averages, keras: kerasAverages },
    optional: ["momentumCycle"],
    summary: "m̂ / (√v̂ + ε) of bias-corrected averages of g and g²; Keras has the ε̂ form",
    formula:
      "m ← β₁ m + (1 − β₁) g\n" +
      "v ← β₂ v + (1 − β₂) g²\n" +
      "m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)\n" +
      "p ← p − η m̂ / (√(v̂ + ε′) + ε)\n" +
      "keras: p ← p − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√(v + ε′) + ε)",
    when: "The safe first choice without weight decay; with it, AdamW.",
    source: "Kingma & Ba 2015, algorithm 1; epsRoot is Optax'",
    rule: (o) => coupled(o, moments(o, o.dialect === "keras")),
  }),

  amsgrad: row<"b1" | "b2" | "eps" | "epsRoot" | "weightDecay">("amsgrad", {
    lr: 1e-3,
    dialects: {
      torch: { ...averages, lr: 1e-3 },
      optax: averages,
      keras: kerasAverages,
      paper: { ...averages, eps: 0 },
    },
    summary: "Adam with the largest v so far, so that no step grows; four libraries, four trajectories",
    formula:
      "m ← β₁ m + (1 − β₁) g\nv ← β₂ v + (1 − β₂) g²\n" +
      "u ← max(u, v), m̂ = m / (1 − β₁ᵗ), û = u / (1 − β₂ᵗ)\n" +
      "p ← p − η m̂ / (√(û + ε′) + ε)\n" +
      "optax: u ← max(u, v̂), which is not corrected again\n" +
      "keras: p ← p − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√(u + ε′) + ε)\n" +
      "paper: p ← p − η m / (√(u + ε′) + ε)",
    when: "Where Adam's steps grow again late in a training and it must provably converge; rarely better in practice.",
    source: "Reddi, Kale & Kumar 2018, algorithm 2",
    rule: (o) => coupled(o, maxMoments(o, o.dialect)),
  }),

  /** λ of the paper is not multiplied by α, only by the schedule η = lr / baseLr: λ there is lr · λ of the libraries. */
  adamW: row<"b1" | "b2" | "eps" | "epsRoot" | "weightDecay", "baseLr" | "momentumCycle">("adamW", {
    lr: 1e-3,
    dialects: {
      torch: { ...averages, weightDecay: 0.01, lr: 1e-3 },
      optax: { ...averages, weightDecay: 1e-4 },
      keras: { ...kerasAverages, weightDecay: 0.004 },
      paper: averages,
    },
    optional: ["baseLr", "momentumCycle"],
    summary: "Adam with decay taken from the weights: p − lr · (m̂ / (√v̂ + ε) + λ p)",
    formula:
      "m̂, v̂ as in adam\np ← p − η (m̂ / (√(v̂ + ε′) + ε) + λ p)\n" +
      "paper: λ / baseLr in place of λ, so that of η only the schedule's share is in the decay",
    when: "The default of this library: transformers, tables, most networks. Tune η first, then λ.",
    source: "Loshchilov & Hutter 2019, algorithm 2",
    rule: (o) => {
      const adam = moments(o, o.dialect === "keras");
      if (o.dialect === "keras") return shrinking(o, adam);
      if (o.dialect !== "paper" || !o.weightDecay) return decayed(o, adam);
      const { baseLr } = o;
      if (!baseLr) fail("adamW: the paper's weightDecay needs baseLr, the α that your schedule multiplies");
      return decayed({ ...o, weightDecay: o.weightDecay / baseLr }, adam);
    },
  }),

  /** PyTorch has none. Optax is the paper with φ = identity; Keras decays outside of the ratio. */
  lamb: row<"b1" | "b2" | "eps" | "epsRoot" | "weightDecay", "phi">("lamb", {
    lr: 0.01,
    dialects: {
      paper: { ...averages, eps: 1e-6, weightDecay: 0.01 },
      optax: { ...averages, eps: 1e-6 },
      keras: kerasAverages,
    },
    optional: ["phi"],
    summary: "AdamW's direction, each tensor rescaled to φ(‖p‖) / ‖direction‖: for large batches",
    formula:
      "m̂, v̂ as in adam\nr = m̂ / (√(v̂ + ε′) + ε) + λ p\n" +
      "p ← p − η φ(‖p‖) / ‖r‖ · r, norms of each tensor; φ(x) = x, or x clamped to phi; ratio 1 where a norm is 0\n" +
      "keras: p ← p − η λ p first, and no λ p in r",
    when: "Batches of thousands of examples, where AdamW needs a rate that single layers do not stand.",
    source: "You et al. 2020, algorithm 2; the experiments' λ = 0.01",
    rule: (o) => {
      if (o.dialect === "keras") return shrinking(o, chain(moments(o), trustRatio(o)));
      return chain(decayed(o, moments(o)), trustRatio(o));
    },
  }),

  adadelta: row<"rho" | "eps" | "weightDecay">("adadelta", {
    lr: 1,
    dialects: {
      torch: { rho: 0.9, eps: 1e-6, weightDecay: 0, lr: 1 },
      optax: { rho: 0.9, eps: 1e-6, weightDecay: 0 },
      keras: { rho: 0.95, eps: 1e-7, weightDecay: 0, lr: 1e-3 },
      paper: { rho: 0.95, eps: 1e-6, weightDecay: 0, lr: 1 },
    },
    summary:
      "g · √(d + ε) / √(v + ε), d and v averages of squared steps and gradients: steps in the parameter's own unit",
    formula: "v ← ρ v + (1 − ρ) g²\nu = g √(d + ε) / √(v + ε)\nd ← ρ d + (1 − ρ) u²\np ← p − η u",
    when: "Where no rate can be tuned and there is time: it starts with tiny steps. With Keras' η = 0.001 it hardly moves.",
    source: "Zeiler 2012, algorithm 1, where η = 1",
    rule: (o) => coupled(o, rootDeltas(o)),
  }),

  adamax: row<"b1" | "b2" | "eps" | "weightDecay">("adamax", {
    lr: 2e-3,
    dialects: {
      torch: { b1: 0.9, b2: 0.999, eps: 1e-8, weightDecay: 0, lr: 2e-3 },
      optax: { b1: 0.9, b2: 0.999, eps: 1e-8, weightDecay: 0 },
      keras: { b1: 0.9, b2: 0.999, eps: 1e-7, weightDecay: 0, lr: 1e-3 },
      paper: { b1: 0.9, b2: 0.999, eps: 0, weightDecay: 0, lr: 2e-3 },
    },
    summary: "m̂ / u, u the largest |g| so far, slowly forgotten: Adam in the maximum norm",
    formula:
      "m ← β₁ m + (1 − β₁) g, m̂ = m / (1 − β₁ᵗ)\n" +
      "u ← max(β₂ u, |g| + ε); keras: max(β₂ u, |g|)\n" +
      "p ← p − η m̂ / u; keras: m̂ / (u + ε)",
    when: "Sparse gradients with rare large ones, such as embeddings; else Adam.",
    source: "Kingma & Ba 2015, algorithm 2; ε is the libraries'",
    rule: (o) => coupled(o, maxNorm(o, o.dialect)),
  }),

  nadam: row<"b1" | "b2" | "eps" | "epsRoot" | "momentumDecay" | "weightDecay">("nadam", {
    lr: 2e-3,
    dialects: {
      torch: { ...nesterovAverages, lr: 2e-3 },
      optax: { ...nesterovAverages, momentumDecay: Number.POSITIVE_INFINITY },
      keras: { ...nesterovAverages, eps: 1e-7, momentumDecay: 1, lr: 1e-3 },
    },
    summary:
      "Adam with Nesterov's look ahead and a momentum that rises: in 250 times fewer steps in Keras, at once in Optax",
    formula:
      "μₜ = β₁ (1 − ½ · 0.96^(ψ t)); ψ = ∞: μₜ = β₁\n" +
      "m ← β₁ m + (1 − β₁) g\n" +
      "v ← β₂ v + (1 − β₂) g²\n" +
      "m̂ = μₜ₊₁ m / (1 − μ₁ ⋯ μₜ₊₁) + (1 − μₜ) g / (1 − μ₁ ⋯ μₜ), v̂ = v / (1 − β₂ᵗ)\n" +
      "p ← p − η m̂ / (√(v̂ + ε′) + ε)",
    when: "As Adam, and often a little faster; with weight decay, nadamW.",
    source: "Dozat 2016, with Adam's m and v̂, as in PyTorch 2.13",
    rule: (o) => coupled(o, nesterovMoments(o)),
  }),

  /** Keras' Nadam has this decay already. */
  nadamW: row<"b1" | "b2" | "eps" | "epsRoot" | "momentumDecay" | "weightDecay">("nadamW", {
    lr: 2e-3,
    dialects: {
      torch: { ...nesterovAverages, lr: 2e-3 },
      optax: { ...nesterovAverages, momentumDecay: Number.POSITIVE_INFINITY, weightDecay: 1e-4 },
    },
    summary: "NAdam with decay taken from the weights",
    formula: "m̂, v̂ as in nadam\np ← p − η (m̂ / (√(v̂ + ε′) + ε) + λ p)",
    when: "As AdamW, at about its rate and decay: the strongest of Adam's kin on tuned benchmarks such as AlgoPerf.",
    source:
      "Dozat 2016; Loshchilov & Hutter 2019; NAdam(decoupled_weight_decay=True) in PyTorch, where λ = 0 unless said",
    rule: (o) => decayed(o, nesterovMoments(o)),
  }),

  radam: row<"b1" | "b2" | "eps" | "epsRoot" | "threshold" | "weightDecay">("radam", {
    lr: 1e-3,
    dialects: {
      torch: { ...averages, threshold: 5, lr: 1e-3 },
      optax: { ...averages, threshold: 5 },
      paper: { ...averages, eps: 0, threshold: 4 },
    },
    summary: "Adam, rectified: r · m̂ / (√v̂ + ε), and plain momentum m̂ while v has seen too few gradients",
    formula:
      "ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ), ρ∞ = 2 / (1 − β₂) − 1\n" +
      "r = √((ρ − 4) (ρ − 2) ρ∞ / ((ρ∞ − 4) (ρ∞ − 2) ρ))\n" +
      "m̂, v̂ as in adam\n" +
      "p ← p − η r m̂ / (√(v̂ + ε′) + ε) where ρ > threshold\n" +
      "p ← p − η m̂ else\n" +
      "torch: (√v + ε) / √(1 − β₂ᵗ) in place of √v̂ + ε",
    when:
      "In place of Adam with a warm-up. Its first five steps (at β₂ = 0.999) are momentum at Adam's rate: where gradients " +
      "are large, they throw the weights away.",
    source: "Liu et al. 2020, algorithm 2; ε is the libraries'",
    rule: (o) => coupled(o, rectified(o, o.dialect)),
  }),

  lion: row<"b1" | "b2" | "weightDecay">("lion", {
    lr: 3e-4,
    dialects: {
      paper: { b1: 0.9, b2: 0.99, weightDecay: 0 },
      optax: { b1: 0.9, b2: 0.99, weightDecay: 1e-3 },
      keras: { b1: 0.9, b2: 0.99, weightDecay: 0, lr: 1e-3 },
    },
    summary: "The sign of a momentum, and decay taken from the weights: every weight moves by lr, one buffer",
    formula: "u = sign(β₁ m + (1 − β₁) g)\nm ← β₂ m + (1 − β₂) g\np ← p − η (u + λ p)",
    when: "Large batches and little memory. Take a rate 3 to 10 times smaller than AdamW's, and a λ as much larger.",
    source: "Chen et al. 2023, algorithm 2",
    rule: (o) => (o.dialect === "keras" ? shrinking : decayed)(o, signOfMomentum(o)),
  }),

  rprop: row<"etaMinus" | "etaPlus" | "minStep" | "maxStep">("rprop", {
    lr: 0.01,
    dialects: { torch: { ...resilience, lr: 0.01 }, optax: resilience },
    summary: "A step size for each weight, from lr on: longer while the slope keeps its sign, shorter where it turns",
    formula:
      "Δ ← η⁺ Δ where g keeps its sign, η⁻ Δ where it turns; Δ in [minStep, maxStep], η at first\n" +
      "p ← p − sign(g) Δ, and not at all where it turns; the step after, as if no sign were known\n" +
      "optax: moves by the step before, so that the first is none",
    when: "The whole data in each step, or very large batches: the sign of a noisy gradient says little. Schedules do nothing.",
    source: "Riedmiller & Braun 1993; Igel & Hüsken 2003, iRprop⁻; Optax 0.2.8 moves one step late",
    rule: (o) => {
      if (o.minStep > o.maxStep) fail(`rprop: minStep must be at most maxStep, got ${o.minStep} and ${o.maxStep}`);
      return resilient(o, o.dialect === "optax");
    },
  }),

  ademamix: row<"b1" | "b2" | "b3" | "alpha" | "eps" | "epsRoot" | "weightDecay", "warmup">("ademamix", {
    lr: 1e-3,
    dialects: {
      paper: { ...averages, b3: 0.9999, alpha: 5 },
      optax: { ...averages, b3: 0.9999, alpha: 5 },
    },
    optional: ["warmup"],
    summary: "AdamW with a second average of gradients, of ten thousand steps: (m̂ + α n) / (√v̂ + ε)",
    formula:
      "m ← β₁ m + (1 − β₁) g\n" +
      "n ← β₃ n + (1 − β₃) g\n" +
      "v ← β₂ v + (1 − β₂) g², m̂ and v̂ as in adam\n" +
      "p ← p − η ((m̂ + α n) / (√(v̂ + ε′) + ε) + λ p)\n" +
      "with warmup T, until step T: α t / T for α, and 1 / ln β₃ on a line from 1 / ln β₁",
    when: "Trainings of many thousand steps, such as language models, with warmup as long as they are. Short ones: β₃ = 0.999.",
    source: "Pagliardini, Ablin & Grangier 2024, algorithm 1",
    rule: (o) => decayed(o, twoAverages(o)),
  }),

  adabelief: row<"b1" | "b2" | "eps" | "epsRoot" | "weightDecay">("adabelief", {
    lr: 1e-3,
    dialects: {
      paper: { ...averages, epsRoot: 1e-8 },
      optax: { ...averages, eps: 1e-16, epsRoot: 1e-16 },
    },
    summary: "m̂ / (√ŝ + ε), s the average of (g − m)²: long steps where gradients are as expected",
    formula:
      "m ← β₁ m + (1 − β₁) g, m̂ = m / (1 − β₁ᵗ)\n" +
      "s ← β₂ s + (1 − β₂) (g − m)² + ε′, ŝ = s / (1 − β₂ᵗ)\n" +
      "p ← p − η m̂ / (√ŝ + ε)",
    when: "Where SGD generalises better than Adam, such as image classifiers; ε matters more than in Adam.",
    source: "Zhuang et al. 2020, algorithm 2; epsRoot is the ε within s",
    rule: (o) => coupled(o, surprise(o)),
  }),

  yogi: row<"b1" | "b2" | "eps" | "initialAccumulator" | "weightDecay">("yogi", {
    lr: 0.01,
    dialects: { optax: { b1: 0.9, b2: 0.999, eps: 1e-3, initialAccumulator: 1e-6, weightDecay: 0 } },
    summary: "Adam whose v moves to g² by (1 − β₂) g² at most: a large gradient is not soon forgotten",
    formula:
      "m ← β₁ m + (1 − β₁) g\nv ← v − (1 − β₂) sign(v − g²) g², both from initialAccumulator on\n" +
      "p ← p − η m̂ / (√v̂ + ε), m̂ and v̂ as in adam",
    when: "Sparse or heavy-tailed gradients, where Adam's v falls too fast between large ones.",
    source: "Zaheer et al. 2018, algorithm 2, with Optax' bias corrections",
    rule: (o) => coupled(o, additiveMoments(o)),
  }),

  /** Optax has no r, and weighs a step by the rate of the next; a warm-up is the schedule's affair here. */
  scheduleFreeSgd: row<"b1" | "r" | "weightLrPower" | "weightDecay">("scheduleFreeSgd", {
    lr: 1,
    dialects: {
      torch: { b1: 0.9, r: 0, weightLrPower: 2, weightDecay: 0, lr: 1 },
      optax: { b1: 0.9, r: 0, weightLrPower: 2, weightDecay: 0, lr: 1 },
    },
    summary: "Steepest descent whose average is evaluated, with gradients taken between the two: no rate that falls",
    formula:
      "y = (1 − β₁) z + β₁ x\nz ← z − η (g(y) + λ y)\n" +
      "x ← (1 − c) x + c z, c = w / Σ w, w = tʳ (the largest η so far)^weightLrPower\n" +
      "trained: y; evaluated: x",
    when: "Where the end of a training is not known beforehand: constant rate after a warm-up, larger than sgd's by far.",
    source: "Defazio et al. 2024, algorithm 1 and section 4; torch is the package schedulefree 1.3",
    rule: (o) => scheduleFree("scheduleFreeSgd", decayed(o, steepest()), o),
  }),

  scheduleFreeAdamW: row<"b1" | "b2" | "eps" | "r" | "weightLrPower" | "weightDecay">("scheduleFreeAdamW", {
    lr: 0.0025,
    dialects: {
      torch: { b1: 0.9, b2: 0.999, eps: 1e-8, r: 0, weightLrPower: 2, weightDecay: 0, lr: 0.0025 },
      optax: { b1: 0.9, b2: 0.999, eps: 1e-8, r: 0, weightLrPower: 2, weightDecay: 0, lr: 0.0025 },
      paper: { b1: 0.9, b2: 0.999, eps: 1e-8, r: 0, weightLrPower: 2, weightDecay: 0 },
    },
    summary: "AdamW whose average is evaluated, with gradients taken between the two: no rate that falls",
    formula:
      "y = (1 − β₁) z + β₁ x\nv ← β₂ v + (1 − β₂) g(y)², v̂ = v / (1 − β₂ᵗ)\nz ← z − η (g(y) / (√v̂ + ε) + λ y)\n" +
      "x ← (1 − c) x + c z, c = w / Σ w, w = tʳ (the largest η so far)^weightLrPower\n" +
      "paper: √v in place of √v̂, and η √(1 − β₂ᵗ) in place of η\n" +
      "trained: y; evaluated: x",
    when: "As AdamW, where the end of a training is not known beforehand: constant rate after a warm-up, about AdamW's peak or higher.",
    source:
      "Defazio et al. 2024, algorithm 1, whose rate is corrected in place of v; torch is the package schedulefree 1.3",
    rule: (o) => {
      const paper = o.dialect === "paper";
      const base = decayed(o, rootMoment(o, !paper));
      return scheduleFree("scheduleFreeAdamW", base, { ...o, ...(paper && { rate: warming(o.b2) }) });
    },
  }),

  prodigy: row<"b1" | "b2" | "eps" | "d0" | "dCoef" | "biasCorrection" | "safeguardWarmup" | "weightDecay", "b3">(
    "prodigy",
    {
      lr: 1,
      dialects: {
        torch: { ...prodigyDefaults, biasCorrection: false, lr: 1 },
        optax: { ...prodigyDefaults, biasCorrection: true, lr: 1 },
      },
      optional: ["b3"],
      summary: "AdamW that estimates its own rate: the distance d from the start to the minimum; lr stays 1",
      formula:
        "γ = d η, of all tensors one d, from d₀ on; with biasCorrection d η √(1 − β₂ᵗ) / (1 − β₁ᵗ)\n" +
        "r ← β₃ r + d γ ⟨g, p₀ − p⟩ / d₀, p₀ the start; β₃ = √β₂ unless given\n" +
        "s ← β₃ s + d γ g / d₀; with safeguardWarmup d² g / d₀\n" +
        "m ← β₁ m + (1 − β₁) d g\nv ← β₂ v + (1 − β₂) d² g²\n" +
        "d ← max(d, dCoef · r / ‖s‖₁)\np ← p − γ (m / (√v + d ε) + λ p), γ from before d grew",
      when: "Where there is no time to tune a rate: η = 1, or a schedule that falls from 1. Takes four copies of the parameters.",
      source: "Mishchenko & Defazio 2024, algorithm 4; torch is the package prodigyopt 1.1",
      rule: prodigyRule,
    },
  ),

  ...matrixOptimizers,
} as const;

export type OptimizerName = keyof typeof optimizers;

export const gradientDescent = optimizers.gradientDescent.make;
export const sgd = optimizers.sgd.make;
export const momentum = optimizers.momentum.make;
export const nesterov = optimizers.nesterov.make;
export const adagrad = optimizers.adagrad.make;
export const rmsprop = optimizers.rmsprop.make;
export const adam = optimizers.adam.make;
export const amsgrad = optimizers.amsgrad.make;
export const adamW = optimizers.adamW.make;
export const lamb = optimizers.lamb.make;
export const adadelta = optimizers.adadelta.make;
export const adamax = optimizers.adamax.make;
export const nadam = optimizers.nadam.make;
export const nadamW = optimizers.nadamW.make;
export const radam = optimizers.radam.make;
export const lion = optimizers.lion.make;
export const rprop = optimizers.rprop.make;
export const ademamix = optimizers.ademamix.make;
export const adabelief = optimizers.adabelief.make;
export const yogi = optimizers.yogi.make;
export const scheduleFreeSgd = optimizers.scheduleFreeSgd.make;
export const scheduleFreeAdamW = optimizers.scheduleFreeAdamW.make;
export const prodigy = optimizers.prodigy.make;
export const lars = optimizers.lars.make;
export const adafactor = optimizers.adafactor.make;
export const muon = optimizers.muon.make;
export const shampoo = optimizers.shampoo.make;
