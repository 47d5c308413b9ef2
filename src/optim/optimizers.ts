/**
 * The optimizers by name: one row each, with its dialects and their defaults. The command line, the documentation and
 * the tests walk this table; a new optimizer is a new row. Every rule is a chain of the parts in rules.ts.
 *
 * A library's defaults are those of PyTorch 2.13, Optax 0.2.8 and Keras 3.15, and golden trajectories hold each dialect
 * to its library. `weightDecay` acts where that dialect puts it: joined to the gradient (L2) in PyTorch and, as
 * `add_decayed_weights` in front, in Optax; Keras first shrinks the weights by 1 − lr·λ, for every optimizer.
 */
import { fail } from "../ir/fail.ts";
import type { Tensor } from "../ir/tensor.ts";
import { mapWithPath } from "../tree.ts";
import { type Chosen, type Common, type Dialect, type Hyper, requireHyper, requireLr, show } from "./hyper.ts";
import { decay, heavyBall, l2, maxMoments, moments, rootMeanSquare, rootSum, steepest, trustRatio } from "./rules.ts";
import { chain, type Optimizer, only, type Transform, type Where } from "./transform.ts";

/** Hyper-parameters K have a default in every dialect, those in M may be left out. */
export type Options<K extends keyof Hyper, M extends keyof Hyper = never> = Partial<Pick<Hyper, K | M>> & Common;

export type Row<O extends Common = Common> = {
  /** Throws, naming value and domain, for a hyper-parameter out of its domain, an unknown option or dialect. */
  readonly make: (options?: O) => Optimizer;
  /** Of the default dialect, with a learning rate to start from. */
  readonly defaults: { readonly lr: number } & Partial<Hyper>;
  /** The first is the default. `lr` is the library's own default, where it has one. */
  readonly dialects: { readonly [D in Dialect]?: Partial<Hyper> & { readonly lr?: number } };
  /** The options that `make` takes besides `dialect` and `decayOnly`. */
  readonly options: readonly (keyof Hyper)[];
  readonly summary: string;
  /** Paper and algorithm. */
  readonly source: string;
};

type Written<K extends keyof Hyper, M extends keyof Hyper> = {
  readonly lr: number;
  readonly dialects: { readonly [D in Dialect]?: Pick<Hyper, K> & { readonly lr?: number } };
  readonly optional?: readonly M[];
  readonly summary: string;
  readonly source: string;
  readonly rule: (o: Chosen<Pick<Hyper, K> & Partial<Pick<Hyper, M>>>) => Transform;
};

function row<K extends keyof Hyper, M extends keyof Hyper = never>(name: string, r: Written<K, M>): Row<Options<K, M>> {
  requireLr(name, r.lr);
  const [first] = Object.keys(r.dialects) as Dialect[];
  const { lr: _, ...defaults } = r.dialects[first!]!;
  const known = [...Object.keys(defaults), ...(r.optional ?? [])] as (K | M)[];
  const make = (options: Options<K, M> = {}): Optimizer => {
    const { dialect = first!, decayOnly, ...given } = options;
    const table = r.dialects[dialect];
    if (!table) fail(`${name}: there is no dialect ${show(dialect)}`, `it has ${Object.keys(r.dialects).join(", ")}`);
    const { lr: _, ...hyper } = { ...table } as Partial<Hyper> & { lr?: number };
    for (const [key, x] of Object.entries(given)) {
      if (x === undefined) continue;
      if (key === "lr")
        fail(`${name}: lr is no option of a rule`, "it may change from step to step: give it to fit, or to update");
      if (!known.includes(key as K)) fail(`${name}: there is no option ${key}`, `it takes ${known.join(", ")}`);
      Object.assign(hyper, { [key]: x });
    }
    for (const key of known) if (hyper[key] !== undefined) requireHyper(name, key, hyper[key]);
    const chosen = { ...hyper, dialect, ...(decayOnly && { decayOnly }) };
    const rule = r.rule(chosen as Chosen<Pick<Hyper, K> & Partial<Pick<Hyper, M>>>);
    return { ...rule, describe: described(name, hyper, dialect, decayOnly) };
  };
  Object.defineProperty(make, "name", { value: name }); // for the message to those who forget to call it
  const { summary, source, dialects } = r;
  return { make, defaults: { ...(defaults as Partial<Hyper>), lr: r.lr }, dialects, options: known, summary, source };
}

/** `adamW(b1 0.9, b2 0.999, eps 1e-8, weightDecay 0.01 on matrices; torch)`; what is 0 or off is left out. */
function described(name: string, hyper: Partial<Hyper>, dialect: Dialect, decayOnly: Where | undefined): string {
  const parts = Object.entries(hyper).flatMap(([key, x]) => {
    if (!x) return [];
    if (x === true) return [key];
    const where = key === "weightDecay" && decayOnly ? ` on ${decayOnly.name || "some"}` : "";
    return [typeof x === "object" ? `${key} ${x.low} to ${x.high}` : `${key} ${x}${where}`];
  });
  return `${name}(${parts.length ? `${parts.join(", ")}; ` : ""}${dialect})`;
}

// ---- where weight decay goes -------------------------------------------------------------------------------------------

type Decaying = Chosen<Pick<Hyper, "weightDecay">>;

const chosen = (t: Transform, where: Where | undefined): Transform => (where ? only(where, t) : t);

/** λ·p joins the gradient, before the rule. */
const coupled = (o: Decaying, rule: Transform): Transform => {
  if (o.dialect === "keras") return shrinking(o, rule);
  return o.weightDecay ? chain(chosen(l2(o.weightDecay), o.decayOnly), rule) : rule;
};

/** λ·p joins the direction, after the rule. */
const decayed = (o: Decaying, rule: Transform): Transform =>
  o.weightDecay ? chain(rule, chosen(decay(o.weightDecay), o.decayOnly)) : rule;

/** Weights shrink by 1 − lr·λ, then the rule sees the smaller ones: LAMB's ratio is of those. Keras' base class. */
function shrinking({ weightDecay, decayOnly: where }: Decaying, rule: Transform): Transform {
  if (!weightDecay) return rule;
  return {
    ...rule,
    update(direction, state, context) {
      const { params, lr } = context;
      const decays = (path: string, p: Tensor) => !where || where(path, p);
      const share = (p: Tensor) => lr.cast(p.dtype).mul(weightDecay);
      const small = mapWithPath((path, p: Tensor) => (decays(path, p) ? p.sub(p.mul(share(p))) : p), params);
      const [u, next] = rule.update(direction, state, { ...context, params: small });
      const lost = (p: Tensor) => p.mul(rule.gives === "step" ? share(p) : weightDecay);
      return [mapWithPath((path, p: Tensor, d: Tensor) => (decays(path, p) ? d.add(lost(p)) : d), params, u), next];
    },
  };
}

// ---- the table ---------------------------------------------------------------------------------------------------------

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
    source: "Cauchy 1847",
    rule: (o) => coupled(o, steepest()),
  }),

  sgd: row<"weightDecay">("sgd", {
    lr: 0.01,
    dialects: { ...descent, torch: { weightDecay: 0, lr: 1e-3 }, keras: { weightDecay: 0, lr: 0.01 } },
    summary: "Steepest descent on mini-batches: p − lr · g",
    source: "Robbins & Monro 1951",
    rule: (o) => coupled(o, steepest()),
  }),

  /** Momentum in the literature has no default; 0.9 is Sutskever's and everybody's. */
  momentum: row<"momentum" | "dampening" | "weightDecay">("momentum", {
    lr: 0.01,
    dialects: ball,
    summary: "Heavy ball: b ← μ b + g, p − lr · b; Keras keeps lr · g in b",
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
