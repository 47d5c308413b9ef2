/**
 * The founding update rules for one tensor, each returning a direction to go against; newer families have files of their
 * own in rules/. Letters are those of the papers: g gradient, m and v averages of g and g², p parameter, λ decay.
 */
import { fail } from "../ir/fail.ts";
import { norm } from "../ir/math.ts";
import { scalar, type Tensor } from "../ir/tensor.ts";
import { type Dialect, type Hyper, show } from "./hyper.ts";
import { ema, lifted, over, unbias } from "./parts.ts";
import { filled, type Transform } from "./transform.ts";

/** The gradient itself. Cauchy 1847. */
export const steepest = (): Transform => lifted("gradient", { update: (g) => g });

/** u + λ·p: before a rule it is L2 regularisation, ½ λ ‖p‖² in the loss; after one it is decoupled decay. λ ≥ 0. */
const addDecay =
  (name: string) =>
  (lambda: number): Transform => {
    if (!(Number.isFinite(lambda) && lambda >= 0)) {
      fail(`${name}: the decay must be a finite number ≥ 0, got ${show(lambda)}`);
    }
    return lifted(`${name}(${lambda})`, { update: (u, _, { p }) => u.add(p.mul(lambda)) });
  };
export const l2 = addDecay("l2");
export const decay = addDecay("decay");

/**
 * Momentum: b ← μ b + (1 − dampening) g, direction b; Nesterov's is g + μ b. Polyak 1964; Sutskever et al. 2013.
 * The first step has no dampening, as in PyTorch. `inside`: b holds lr · g, so old gradients keep the rate they came
 * with, and what comes out is a step (Keras; Optax' RMSProp). At a constant rate both are the same.
 */
export function heavyBall(
  { momentum, momentumCycle, dampening = 0, nesterov = false }: Ball,
  lr: "inside" | "outside" = "outside",
): Transform {
  return lifted(
    `momentum(${momentum}${dampening ? `, dampening ${dampening}` : ""}${nesterov ? ", nesterov" : ""})`,
    {
      init: (p) => ({ b: filled(p) }),
      update(u, { b }, at) {
        const g = lr === "inside" ? u.mul(at.lr) : u;
        const fresh = dampening ? g.mul(at.step.eq(1).where(scalar(1, g.dtype), 1 - dampening)) : g;
        const mu = momentumCycle?.(at.step) ?? momentum;
        const next = b.mul(mu).add(fresh);
        return [nesterov ? g.add(next.mul(mu)) : next, { b: next }];
      },
    },
    lr === "inside" ? "step" : "direction",
  );
}
type Ball = Pick<Hyper, "momentum"> & Partial<Pick<Hyper, "dampening" | "nesterov" | "momentumCycle">>;

/**
 * AdaGrad: s ← s + g², direction g / (√s + ε). Duchi, Hazan & Singer 2011, the diagonal form.
 * Optax and Keras: g / √(s + ε).
 */
export const rootSum = ({ eps, initialAccumulator, lrDecay, inRoot }: RootSum): Transform =>
  lifted("adagrad", {
    init: (p) => ({ s: filled(p, initialAccumulator) }),
    update(g, { s }, { step }) {
      const next = s.add(g.square());
      const u = over(g, inRoot ? next.add(eps).sqrt() : next.sqrt().add(eps), eps);
      return [lrDecay ? u.div(step.sub(1).mul(lrDecay).add(1)) : u, { s: next }];
    },
  });
type RootSum = Pick<Hyper, "eps" | "initialAccumulator" | "lrDecay"> & { inRoot: boolean };

/**
 * RMSProp: v ← ρ v + (1 − ρ) g², direction g / (√v + ε). Tieleman & Hinton 2012, lecture 6.5.
 * Centred (Graves 2013, eq. 38-39): √(v − m²), where m averages g; rounding below 0 counts as 0, which no library does.
 * Optax and Keras: ε inside the root.
 */
export const rootMeanSquare = ({ rho, eps, centered, inRoot }: RootMeanSquare): Transform => {
  const direction = (g: Tensor, square: Tensor) =>
    over(g, inRoot ? square.add(eps).sqrt() : square.sqrt().add(eps), eps);
  if (!centered) {
    return lifted("rmsprop", {
      init: (p) => ({ v: filled(p) }),
      update(g, { v }) {
        const next = ema(v, g.square(), rho);
        return [direction(g, next), { v: next }];
      },
    });
  }
  return lifted("rmsprop centred", {
    init: (p) => ({ v: filled(p), m: filled(p) }),
    update(g, { v, m }) {
      const [v1, m1] = [ema(v, g.square(), rho), ema(m, g, rho)];
      return [direction(g, v1.sub(m1.square()).max(0)), { v: v1, m: m1 }];
    },
  });
};
type RootMeanSquare = Pick<Hyper, "rho" | "eps" | "centered"> & { inRoot: boolean };

type Moments = Pick<Hyper, "b1" | "b2" | "eps"> & Partial<Pick<Hyper, "epsRoot" | "momentumCycle">>;

/**
 * Adam: m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², direction m̂ / (√v̂ + ε) with m̂ = m / (1 − β₁ᵗ), v̂ alike.
 * Kingma & Ba 2015, algorithm 1. A β₁ that cycles corrects m by its value of the step, as PyTorch does. Keras has the ε̂ of that paper's section 2: √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε).
 */
export const moments = ({ b1, b2, eps, epsRoot = 0, momentumCycle }: Moments, epsHat = false): Transform =>
  lifted("adam", {
    init: (p) => ({ m: filled(p), v: filled(p) }),
    update(g, { m, v }, { step }) {
      const beta = momentumCycle?.(step) ?? b1;
      const [m1, v1] = [ema(m, g, beta), ema(v, g.square(), b2)];
      const [c1, c2] = [unbias(beta, step), unbias(b2, step)];
      const u = epsHat
        ? over(m1, v1.add(epsRoot).sqrt().add(eps), eps + epsRoot).mul(c1.div(c2.sqrt()))
        : over(m1.mul(c1), v1.mul(c2).add(epsRoot).sqrt().add(eps), eps + epsRoot);
      return [u, { m: m1, v: v1 }];
    },
  });

/**
 * AMSGrad: as Adam, with the largest v so far under the root. Reddi, Kale & Kumar 2018, algorithm 2. Four trajectories:
 *   paper  m / (√max v + ε): no bias correction, and ε = 0 there
 *   torch  the largest of v, then corrected as v̂
 *   optax  the largest of v̂
 *   keras  the largest of v, in Keras' form of Adam
 */
export const maxMoments = ({ b1, b2, eps, epsRoot = 0 }: Moments, dialect: Dialect): Transform =>
  lifted("amsgrad", {
    init: (p) => ({ m: filled(p), v: filled(p), top: filled(p) }),
    update(g, { m, v, top }, { step }) {
      const [m1, v1] = [ema(m, g, b1), ema(v, g.square(), b2)];
      const [c1, c2] = [unbias(b1, step), unbias(b2, step)];
      const highest = top.max(dialect === "optax" ? v1.mul(c2) : v1);
      const root = (x: Tensor) => x.add(epsRoot).sqrt().add(eps);
      const directions: Record<Dialect, () => Tensor> = {
        torch: () => over(m1.mul(c1), root(highest.mul(c2)), eps + epsRoot),
        optax: () => over(m1.mul(c1), root(highest), eps + epsRoot),
        keras: () => over(m1, root(highest), eps + epsRoot).mul(c1.div(c2.sqrt())),
        paper: () => over(m1, root(highest), eps + epsRoot),
      };
      return [directions[dialect](), { m: m1, v: v1, top: highest }];
    },
  });

/**
 * Rescale each tensor's direction to the size of its parameter: u · φ(‖p‖) / ‖u‖, unchanged where ‖p‖ or ‖u‖ is 0.
 * You et al. 2020, algorithm 2. φ is the identity, or clamps to [low, high].
 */
export const trustRatio = ({ phi }: Partial<Pick<Hyper, "phi">> = {}): Transform =>
  lifted(phi ? `trustRatio(${phi.low} to ${phi.high})` : "trustRatio", {
    update(u, _, { p }) {
      const [weight, length] = [norm(p), norm(u)];
      const wanted = phi ? weight.max(phi.low).min(phi.high) : weight;
      const one = scalar(1, u.dtype);
      return u.mul(weight.eq(0).where(one, length.eq(0).where(one, wanted.div(length))));
    },
  });
