/**
 * Rows of the registry for rules that see a tensor as a whole: its norm, its rows and columns, its singular values.
 * Golden trajectories hold each dialect to its library: PyTorch 2.13, Optax 0.2.8, Keras 3.15, or loops from the papers.
 */
import { chain } from "./combine.ts";
import { row } from "./row.ts";
import { adafactorRule } from "./rules/adafactor.ts";
import { localRate, localRates } from "./rules/layerwise.ts";
import { muonRule } from "./rules/muon.ts";
import { shampooRule } from "./rules/shampoo.ts";
import { heavyBall } from "./rules.ts";
import { beside, coupled, shrinking } from "./weight-decay.ts";

const sublinear = {
  decayPower: 0.8,
  clipThreshold: 1,
  scaleByParameter: true,
  minScale: 1e-3,
  momentum: 0,
  weightDecay: 0,
};
const orthogonalized = { momentum: 0.95, nesterov: true, nsSteps: 5 };
const aux = { auxLr: 1, auxB1: 0.9, auxB2: 0.999 };

export const matrixOptimizers = {
  /** The paper's decay is that of its experiments; its lr was 10 and more at batches of 8,000, after a warm-up. */
  lars: row<"momentum" | "nesterov" | "trustCoefficient" | "weightDecay", "eps">("lars", {
    lr: 1,
    dialects: {
      paper: { momentum: 0.9, nesterov: false, trustCoefficient: 1e-3, weightDecay: 5e-4 },
      optax: { momentum: 0.9, nesterov: false, trustCoefficient: 1e-3, weightDecay: 0 },
    },
    optional: ["eps"],
    summary: "Momentum with a rate for each layer: in proportion to its norm, whatever that of its gradient is",
    formula:
      "ηₗ = κ ‖p‖ / (‖g‖ + λ‖p‖ + ε), norms of each tensor; 1 where ‖p‖ or the divisor is 0\n" +
      "b ← μ b + η ηₗ (g + λ p)\np ← p − b; nesterov: p ← p − (η ηₗ (g + λ p) + μ b)\n" +
      "optax: ηₗ = κ ‖p‖ / (‖g + λ p‖ + ε)",
    when: "Convolutional networks at batches of thousands, after a warm-up. η is large, as κ is small; for transformers LAMB.",
    source: "You, Gitman & Ginsburg 2017, algorithm 1, where η and κ are called γ and η",
    rule: (o) => {
      const local = o.dialect === "paper" ? localRates(o, o.weightDecay, o.decayOnly) : coupled(o, localRate(o));
      return chain(local, heavyBall(o, "inside"));
    },
  }),

  /** PyTorch's ε is that of the dtype unless given. Keras' relative_step changes nothing there: min(η, 1 / √t) is always. */
  adafactor: row<
    | "decayPower"
    | "clipThreshold"
    | "relativeStep"
    | "scaleByParameter"
    | "minScale"
    | "factorFrom"
    | "momentum"
    | "weightDecay",
    "eps"
  >("adafactor", {
    lr: 0.01,
    dialects: {
      torch: { ...sublinear, relativeStep: true, factorFrom: 1, lr: 0.01 },
      optax: { ...sublinear, relativeStep: false, factorFrom: 128, eps: 1e-30 },
      keras: { ...sublinear, relativeStep: true, factorFrom: 1, eps: 1e-30, lr: 1e-3 },
    },
    optional: ["eps"],
    summary: "Adam's second moment from the means of rows and columns alone: a matrix' state is two vectors",
    formula:
      "R ← R + t^−γ (mean of g² over columns − R), C alike over rows\n" +
      "v = R C / mean(R); for vectors, and sides below factorFrom, v ← v + t^−γ (g² − v)\n" +
      "u = g / √v, then u / max(1, RMS(u) / d), RMS the root of the mean of squares\n" +
      "p ← p − min(η, 1 / √t) max(ε₂, RMS(p)) u; without relativeStep η, without scaleByParameter no RMS(p)\n" +
      "momentum: m ← μ m + (1 − μ) · step, p ← p − m\n" +
      "ε: torch v ≥ ε² and mean(R) ≥ ε; optax, keras g² + ε in place of g²\n" +
      "decay: torch, keras p ← p − η λ p; optax p ← p − λ p",
    when: "Large matrices and little memory. η is a part of each tensor's own size; without momentum it is slower than AdamW.",
    source: "Shazeer & Stern 2018, algorithms 4 and 5; momentum and decay as in Optax",
    rule: (o) => {
      const rule = adafactorRule(o, o.dialect);
      return o.dialect === "keras" ? shrinking(o, rule) : beside(o, rule, o.dialect === "torch");
    },
  }),

  /**
   * PyTorch's has no AdamW of its own: auxLr here is that of its documentation's example (3e-4 beside 0.02), the rest
   * torch.optim.AdamW's.
   */
  muon: row<
    | "momentum"
    | "nesterov"
    | "nsSteps"
    | "eps"
    | "updateRms"
    | "weightDecay"
    | "auxLr"
    | "auxB1"
    | "auxB2"
    | "auxEps"
    | "auxDecay",
    "only"
  >("muon", {
    lr: 0.02,
    dialects: {
      torch: {
        ...orthogonalized,
        eps: 1e-7,
        updateRms: 0,
        weightDecay: 0.1,
        ...aux,
        auxLr: 0.015,
        auxEps: 1e-8,
        auxDecay: 0.01,
        lr: 1e-3,
      },
      optax: { ...orthogonalized, eps: 1e-8, updateRms: 0, weightDecay: 0, ...aux, auxEps: 1e-8, auxDecay: 0 },
      keras: {
        ...orthogonalized,
        eps: 1e-7,
        updateRms: 0.2,
        weightDecay: 0.004,
        ...aux,
        auxEps: 1e-7,
        auxDecay: 0.004,
        lr: 1e-3,
      },
    },
    optional: ["only"],
    summary: "Momentum made orthogonal for matrices, AdamW for all else",
    formula:
      "m ← μ m + (1 − μ) g\n" +
      "M = μ m + (1 − μ) g, without nesterov m; X = M / ‖M‖, Frobenius' norm, ε in it\n" +
      "nsSteps times: X ← 3.4445 X − 4.775 (X Xᵀ) X + 2.0315 (X Xᵀ)² X, then about (M Mᵀ)^−½ M\n" +
      "p ← p − η (√max(1, rows / columns) X + λ p); with updateRms: updateRms · √max(rows, columns) X\n" +
      "keras: m ← μ m + g, M = μ m + g; optax: m and g in M corrected as in nadam\n" +
      "no matrix: adamW with η · auxLr; optax: nadamW",
    when:
      "Hidden layers of transformers and of wide networks: fewer steps than AdamW, for some matrix products more in each. " +
      "Name embeddings and output layer in `only`, so that AdamW has them. With updateRms 0.2 and auxLr 1, AdamW's η and λ do.",
    source: "Jordan et al. 2024; updateRms: Liu et al. 2025, section 2.2",
    rule: muonRule,
  }),

  shampoo: row<"eps" | "ridge" | "maxDim" | "graft" | "momentum" | "weightDecay", "b2">("shampoo", {
    lr: 0.1,
    dialects: {
      paper: { eps: 1e-4, ridge: 1e-6, maxDim: 1024, graft: "none", momentum: 0.9, weightDecay: 0 },
    },
    optional: ["b2"],
    summary: "A preconditioner for each axis: L^−¼ G R^−¼, with grafting the length of SGD's or Adam's step",
    formula:
      "L ← L + g gᵀ, R ← R + gᵀ g; with β₂ averages\n" +
      "u = (L + (ε + r ‖L‖) I)^−¼ g (R + (ε + r ‖R‖) I)^−¼, r the ridge; k axes: exponent −1/2k each\n" +
      "axes longer than maxDim, or of length 1: the diagonal alone, without r\n" +
      "grafted: u ‖w‖ / ‖u‖, w the step of SGD or Adam\n" +
      "b ← μ b + u\n" +
      "p ← p − η (b + λ p)",
    when:
      "Ill-conditioned matrices of moderate size, where a step may cost some 160 products of a matrix with another of its " +
      'size: roots are taken at every step. Graft "adam" with b2, and Adam\'s η does.',
    source: "Gupta, Koren & Singer 2018, algorithms 1 and 2; grafting, b2 and roots: Anil et al. 2020",
    rule: shampooRule,
  }),
} as const;
