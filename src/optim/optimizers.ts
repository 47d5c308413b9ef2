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
import { row } from "./row.ts";
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
const lrInBuffer = (dialect: Dialect) => (dialect === "keras" ? "inside" : "outside");

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
  momentum: row<"momentum" | "dampening" | "weightDecay">("momentum", {
    lr: 0.01,
    dialects: ball,
    summary: "Heavy ball: b ← μ b + g, p − lr · b; Keras keeps lr · g in b",
    formula: "b ← μ b + (1 − τ) g\np ← p − η b",
    when: "Convolutional networks and other well-scaled losses, with a tuned rate and a schedule.",
    source: "Polyak 1964; dampening is PyTorch's",
    rule: (o) => coupled(o, heavyBall(o, lrInBuffer(o.dialect))),
  }),

  nesterov: row<"momentum" | "weightDecay">("nesterov", {
    lr: 0.01,
    dialects: {
      torch: { momentum: 0.9, weightDecay: 0 },
      optax: { momentum: 0.9, weightDecay: 0 },
      keras: { momentum: 0.9, weightDecay: 0, lr: 0.01 },
    },
    summary: "Momentum that looks ahead: b ← μ b + g, p − lr · (g + μ b); Keras keeps lr · g in b",
    formula: "b ← μ b + g\np ← p − η (g + μ b)",
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
    formula: "s ← s + g²\np ← p − η g / (√s + ε)",
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
    formula: "v ← ρ v + (1 − ρ) g²\np ← p − η g / (√v + ε)",
    when: "Recurrent networks and reinforcement learning, where older recipes ask for it; else Adam.",
    source: "Tieleman & Hinton 2012, lecture 6.5; centred: Graves 2013, eq. 38-39; nesterov is Optax'",
    rule: (o) => {
      const inner = rootMeanSquare({ ...o, inRoot: o.dialect !== "torch" });
      return coupled(o, o.momentum ? chain(inner, heavyBall(o, o.dialect === "torch" ? "outside" : "inside")) : inner);
    },
  }),

  adam: row<"b1" | "b2" | "eps" | "epsRoot" | "weightDecay">("adam", {
    lr: 1e-3,
    dialects: { torch: { ...averages, lr: 1e-3 }, optax: averages, keras: kerasAverages },
    summary: "m̂ / (√v̂ + ε) of bias-corrected averages of g and g²; Keras has the ε̂ form",
    formula:
      "m ← β₁ m + (1 − β₁) g\n" +
      "v ← β₂ v + (1 − β₂) g²\n" +
      "m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)\n" +
      "p ← p − η m̂ / (√v̂ + ε)",
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
    formula: "m ← β₁ m + (1 − β₁) g\nv ← β₂ v + (1 − β₂) g²\nu ← max(u, v)\np ← p − η m̂ / (√û + ε)",
    when: "Where Adam's steps grow again late in a training and it must provably converge; rarely better in practice.",
    source: "Reddi, Kale & Kumar 2018, algorithm 2",
    rule: (o) => coupled(o, maxMoments(o, o.dialect)),
  }),

  /** λ of the paper is not multiplied by α, only by the schedule η = lr / baseLr: λ there is lr · λ of the libraries. */
  adamW: row<"b1" | "b2" | "eps" | "epsRoot" | "weightDecay", "baseLr">("adamW", {
    lr: 1e-3,
    dialects: {
      torch: { ...averages, weightDecay: 0.01, lr: 1e-3 },
      optax: { ...averages, weightDecay: 1e-4 },
      keras: { ...kerasAverages, weightDecay: 0.004 },
      paper: averages,
    },
    optional: ["baseLr"],
    summary: "Adam with decay taken from the weights: p − lr · (m̂ / (√v̂ + ε) + λ p)",
    formula: "m ← β₁ m + (1 − β₁) g\nv ← β₂ v + (1 − β₂) g²\np ← p − η (m̂ / (√v̂ + ε) + λ p)",
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
    formula: "r = m̂ / (√v̂ + ε) + λ p, with Adam's m̂ and v̂\n" + "p ← p − η φ(‖p‖) / ‖r‖ · r, norms of each tensor",
    when: "Batches of thousands of examples, where AdamW needs a rate that single layers do not stand.",
    source: "You et al. 2020, algorithm 2; the experiments' λ = 0.01",
    rule: (o) => {
      if (o.dialect === "keras") return shrinking(o, chain(moments(o), trustRatio(o)));
      return chain(decayed(o, moments(o)), trustRatio(o));
    },
  }),
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
