/**
 * Adam's relatives: rules that divide an average of gradients by a running size of the gradient, so that every weight
 * moves by about lr. They differ in what is averaged, in what the size is, and in how the first steps are corrected.
 */
import { lerp } from "../../ir/math.ts";
import { scalar, type Tensor } from "../../ir/tensor.ts";
import type { Value } from "../../ir/value.ts";
import type { Dialect, Hyper } from "../hyper.ts";
import { ema, lifted, over, sign, unbias } from "../parts.ts";
import { filled, type Transform } from "../transform.ts";

type Moments = Pick<Hyper, "b1" | "b2" | "eps">;
const zeros = (p: Value) => ({ m: filled(p), v: filled(p) });

/**
 * AdaDelta: v ← ρ v + (1 − ρ) g², direction u = g · √(d + ε) / √(v + ε), d ← ρ d + (1 − ρ) u². Zeiler 2012, algorithm 1.
 * Its steps begin at √ε and grow: lr is 1 in the paper and in PyTorch, 0.001 in Keras.
 */
export const rootDeltas = ({ rho, eps }: Pick<Hyper, "rho" | "eps">): Transform =>
  lifted("adadelta", {
    init: (p) => ({ v: filled(p), d: filled(p) }),
    update(g, { v, d }) {
      const next = ema(v, g.square(), rho);
      const u = d.add(eps).sqrt().div(next.add(eps).sqrt()).mul(g);
      return [u, { v: next, d: ema(d, u.square(), rho) }];
    },
  });

/**
 * Adamax: Adam with u ← max(β₂ u, |g|) in place of √v̂, which needs no correction. Kingma & Ba 2015, algorithm 2.
 * The paper has no ε. PyTorch and Optax: u ← max(β₂ u, |g| + ε). Keras: divided by u + ε.
 */
export const maxNorm = ({ b1, b2, eps }: Moments, dialect: Dialect): Transform =>
  lifted("adamax", {
    init: (p) => ({ m: filled(p), u: filled(p) }),
    update(g, { m, u }, { step }) {
      const inside = dialect !== "keras";
      const m1 = ema(m, g, b1);
      const top = u.mul(b2).max(inside ? g.abs().add(eps) : g.abs());
      return [over(m1.mul(unbias(b1, step)), inside ? top : top.add(eps), eps), { m: m1, u: top }];
    },
  });

/**
 * NAdam: Adam that looks ahead along its momentum μ, which rises: μₜ = β₁ (1 − ½ · 0.96^(ψ t)), ψ the momentumDecay.
 *   m̂ = μₜ₊₁ m / (1 − μ₁ ⋯ μₜ₊₁) + (1 − μₜ) g / (1 − μ₁ ⋯ μₜ), direction m̂ / (√v̂ + ε).   ψ = ∞: μₜ = β₁
 * Dozat 2016, as in PyTorch ≥ 2: his algorithm 2 has μₜ also in m, and a further β₂ in v̂.
 * `c` is 1 − μ₁ ⋯ μₜ, one scalar per tensor: the average of ones, all of whose terms are positive, keeps its digits.
 */
export const nesterovMoments = ({ b1, b2, eps, epsRoot, momentumDecay }: Nesterov): Transform =>
  lifted("nadam", {
    init: (p) => ({ ...zeros(p), c: filled(p, 0, []) }),
    update(g, { m, v, c }, { step }) {
      const [m1, v1] = [ema(m, g, b1), ema(v, g.square(), b2)];
      const [fresh, after] = [step, step.add(1)].map((t) => newShare(b1, momentumDecay, t)) as [Tensor, Tensor];
      const one = scalar(1, step.dtype);
      const c1 = lerp(c, one, fresh);
      const ahead = m1.mul(one.sub(after).div(lerp(c1, one, after)));
      const root = v1.mul(unbias(b2, step)).add(epsRoot).sqrt().add(eps);
      return [over(g.mul(fresh.div(c1)).add(ahead), root, eps + epsRoot), { m: m1, v: v1, c: c1 }];
    },
  });
type Nesterov = Moments & Pick<Hyper, "epsRoot" | "momentumDecay">;

/** 1 − μₜ of NAdam. */
const newShare = (b1: number, momentumDecay: number, t: Tensor): Tensor =>
  momentumDecay === Number.POSITIVE_INFINITY
    ? scalar(1 - b1, t.dtype)
    : t
        .mul(Math.log(0.96) * momentumDecay)
        .exp()
        .mul(b1 / 2)
        .add(1 - b1);

/**
 * RAdam: r · m̂ / (√v̂ + ε), and m̂ alone while v has seen too little: until ρ > threshold.
 *   ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ), ρ∞ = 2 / (1 − β₂) − 1,   r² = (ρ − 4) (ρ − 2) ρ∞ / ((ρ∞ − 4) (ρ∞ − 2) ρ)
 * Liu et al. 2020, algorithm 2: threshold 4, no ε. PyTorch adds ε to √v, before its correction. Optax' ρ ≥ threshold is
 * ρ > threshold here: they differ where ρ meets it to the last bit.
 */
export const rectified = ({ b1, b2, eps, epsRoot, threshold }: Rectified, dialect: Dialect): Transform =>
  lifted("radam", {
    init: zeros,
    update(g, { m, v }, { step }) {
      const [m1, v1] = [ema(m, g, b1), ema(v, g.square(), b2)];
      const [mean, c2] = [m1.mul(unbias(b1, step)), unbias(b2, step)];
      const [r, ready] = rectification(b2, threshold, step);
      const torch = dialect === "torch";
      const root = torch ? v1.sqrt().add(eps).mul(c2.sqrt()) : v1.mul(c2).add(epsRoot).sqrt().add(eps);
      return [ready.where(over(mean, root, eps + epsRoot).mul(r), mean), { m: m1, v: v1 }];
    },
  });
type Rectified = Moments & Pick<Hyper, "epsRoot" | "threshold">;

/** r of RAdam, and whether it holds. In double: ρ is a small difference of numbers as large as ρ∞, 1999 for β₂ = 0.999. */
function rectification(b2: number, threshold: number, step: Tensor): [Tensor, Tensor] {
  const t = step.cast("f64");
  const most = 2 / (1 - b2) - 1;
  const rho = t
    .mul(2)
    .div(t.mul(-Math.log(b2)).expm1())
    .neg()
    .add(most);
  const square = rho.sub(4).mul(rho.sub(2)).div(rho);
  return [
    square
      .mul(most / ((most - 4) * (most - 2)))
      .sqrt()
      .cast(step.dtype),
    rho.gt(threshold),
  ];
}

/**
 * AdEMAMix: Adam with a second, slow average of gradients, n ← β₃ n + (1 − β₃) g: direction (m̂ + α n) / (√v̂ + ε).
 * Pagliardini, Ablin & Grangier 2024, algorithm 1. With `warmup` T, α rises to its value in T steps, linearly, and so does
 * the half-life of n from that of m: 1 / ln β is linear in t.
 */
export const twoAverages = ({ b1, b2, b3, alpha, eps, epsRoot, warmup }: TwoAverages): Transform =>
  lifted("ademamix", {
    init: (p) => ({ ...zeros(p), n: filled(p) }),
    update(g, { m, v, n }, { step }) {
      const [m1, v1] = [ema(m, g, b1), ema(v, g.square(), b2)];
      const s = warmup ? step.div(warmup).min(1) : scalar(1, step.dtype);
      const inverse = lerp(scalar(1 / Math.log(b1), s.dtype), scalar(1 / Math.log(b3), s.dtype), s);
      const n1 = lerp(n, g, warmup ? scalar(1, s.dtype).div(inverse).expm1().neg() : 1 - b3);
      const mean = m1.mul(unbias(b1, step)).add(n1.mul(s.mul(alpha)));
      const root = v1.mul(unbias(b2, step)).add(epsRoot).sqrt().add(eps);
      return [over(mean, root, eps + epsRoot), { m: m1, v: v1, n: n1 }];
    },
  });
type TwoAverages = Moments & Pick<Hyper, "epsRoot" | "b3" | "alpha"> & Partial<Pick<Hyper, "warmup">>;

/**
 * AdaBelief: Adam with the average s of (g − m)² in place of v: large steps where gradients are as expected.
 * Zhuang et al. 2020, algorithm 2: s ← β₂ s + (1 − β₂) (g − m)² + ε, direction m̂ / (√ŝ + ε); the ε within s is epsRoot.
 */
export const surprise = ({ b1, b2, eps, epsRoot }: Moments & Pick<Hyper, "epsRoot">): Transform =>
  lifted("adabelief", {
    init: (p) => ({ m: filled(p), s: filled(p) }),
    update(g, { m, s }, { step }) {
      const m1 = ema(m, g, b1);
      const s1 = ema(s, g.sub(m1).square(), b2).add(epsRoot);
      const root = s1.mul(unbias(b2, step)).sqrt().add(eps);
      return [over(m1.mul(unbias(b1, step)), root, eps), { m: m1, s: s1 }];
    },
  });

/**
 * Yogi: Adam whose v moves towards g² by (1 − β₂) g² at most, so that one large gradient is not forgotten at once.
 * Zaheer et al. 2018, algorithm 2, in Optax' form: with bias corrections, and m and v from 10⁻⁶.
 */
export const additiveMoments = ({ b1, b2, eps, initialAccumulator }: Additive): Transform =>
  lifted("yogi", {
    init: (p) => ({ m: filled(p, initialAccumulator), v: filled(p, initialAccumulator) }),
    update(g, { m, v }, { step }) {
      const square = g.square();
      const [m1, v1] = [
        ema(m, g, b1),
        v.sub(
          sign(v.sub(square))
            .mul(square)
            .mul(1 - b2),
        ),
      ];
      const root = v1.mul(unbias(b2, step)).sqrt().add(eps);
      return [over(m1.mul(unbias(b1, step)), root, eps), { m: m1, v: v1 }];
    },
  });
type Additive = Moments & Pick<Hyper, "initialAccumulator">;
