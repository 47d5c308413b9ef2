/**
 * Muon: momentum, made orthogonal. All singular values of a matrix' step become about 1, so that rare directions move as
 * far as common ones: Shampoo without memory, at the price of a few matrix products. Jordan et al. 2024.
 */
import { fail } from "../../ir/fail.ts";
import { norm } from "../../ir/math.ts";
import type { Shape } from "../../ir/shape.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { Value } from "../../ir/value.ts";
import { mapWithPath, paths } from "../../tree.ts";
import { chain, only, type Where } from "../combine.ts";
import type { Chosen, Hyper } from "../hyper.ts";
import { ema, lifted, unbias } from "../parts.ts";
import { moments } from "../rules.ts";
import { filled, type Optimizer, type Transform } from "../transform.ts";
import { decayed, shrinking } from "../weight-decay.ts";
import { nesterovMoments } from "./adaptive.ts";

type Orthogonal = Chosen<Pick<Hyper, "momentum" | "nesterov" | "nsSteps" | "eps" | "updateRms">>;
type Auxiliary = Chosen<Pick<Hyper, "auxLr" | "auxB1" | "auxB2" | "auxEps" | "auxDecay" | "nesterov">>;
type Muon = Orthogonal & Auxiliary & Pick<Hyper, "weightDecay"> & Partial<Pick<Hyper, "only">>;

/** Rank 2: the weights of dense layers, and tables of embeddings too. */
const rank2: Where = (_, p) => p.shape.length === 2;

/**
 * Muon for matrices, AdamW with the rate lr · auxLr for all else. `only` says which are Muon's. Practice leaves tables of
 * embeddings and the output layer to AdamW: `only: (path, p) => p.shape.length === 2 && !/embed|head/.test(path)`.
 *
 * `init` throws where `only` names no parameter, or one of another rank than 2 (Optax: less).
 */
export function muonRule({ only: own, ...o }: Muon): Optimizer {
  const mine = own ?? rank2;
  const others: Where = (path, p) => !mine(path, p);
  const muon = o.dialect === "keras" ? shrinking(o, orthogonal(o)) : decayed(o, orthogonal(o));
  const rule = chain(only(mine, muon), only(others, adamW(o)));
  return {
    ...rule,
    init(params) {
      if (own && paths<Value>(params).every(([path, p]) => others(path, p))) {
        fail("muon: `only` names none of the parameters", "left out, it names those of rank 2");
      }
      return rule.init(params);
    },
  };
}

/** The rest's rule. Optax' looks ahead where Muon does; Keras' decay does not know of auxLr. */
function adamW({ auxLr, auxB1: b1, auxB2: b2, auxEps: eps, auxDecay, nesterov, ...o }: Auxiliary): Transform {
  const ahead = o.dialect === "optax" && nesterov;
  const averages = { b1, b2, eps, epsRoot: 0, momentumDecay: Number.POSITIVE_INFINITY };
  const adam = ahead ? nesterovMoments(averages) : moments(averages, o.dialect === "keras");
  const scaled = lifted(`scale(${auxLr})`, { update: (u) => u.mul(auxLr) });
  const decaying = { ...o, weightDecay: auxDecay };
  return o.dialect === "keras" ? shrinking(decaying, chain(adam, scaled)) : chain(decayed(decaying, adam), scaled);
}

/**
 * Momentum, then Newton–Schulz iterations, then a factor for the shape: √max(1, rows / columns), where a weight is
 * [outputs, inputs], or `updateRms` · √max(rows, columns), the root mean square of whose steps is `updateRms` (AdamW's is
 * about 0.2: Liu et al. 2025). All in the parameter's dtype; PyTorch iterates in bf16.
 *
 *   torch  m ← μ m + (1 − μ) g, looks ahead at μ m + (1 − μ) g; divides by max(‖·‖, ε)
 *   optax  the same with both terms unbiased; divides by ‖·‖ + ε; p: f32[o, i, h, w] is a matrix [o, i · h · w]
 *   keras  m ← μ m + g, looks ahead at μ m + g; divides by ‖·‖ + ε
 *
 * p: f32[rows, columns]; `init` throws for any other, naming path and shape.
 */
export function orthogonal({ momentum, nesterov, nsSteps, eps, updateRms, dialect }: Orthogonal): Transform {
  const ahead = (g: Tensor, m: Tensor, step: Tensor): Tensor => {
    if (dialect === "keras") return nesterov ? m.mul(momentum).add(g) : m;
    if (dialect === "torch") return nesterov ? ema(m, g, momentum) : m;
    if (!nesterov) return m.mul(unbias(momentum, step));
    return ema(m.mul(unbias(momentum, step.add(1))), g.mul(unbias(momentum, step)), momentum);
  };
  const rule = lifted("muon", {
    init: (p) => ({ m: filled(p) }),
    update(g, { m }, { p, step }) {
      const next = dialect === "keras" ? m.mul(momentum).add(g) : ema(m, g, momentum);
      const [rows, columns] = sides(p.shape);
      const u = newtonSchulz(ahead(g, next, step).reshape([rows, columns]), nsSteps, (length) =>
        dialect === "torch" ? length.max(eps) : length.add(eps),
      );
      const factor = updateRms
        ? updateRms * Math.sqrt(Math.max(rows, columns))
        : Math.sqrt(Math.max(1, rows / columns));
      return [u.mul(factor).reshape(p.shape), { m: next }];
    },
  });
  return { ...rule, init: (params) => rule.init(mapWithPath((path, p) => requireMatrix(path, p, dialect), params)) };
}

const sides = ([rows = 1, ...rest]: Shape): [number, number] => [rows, rest.reduce((a, b) => a * b, 1)];

/**
 * About U Vᵀ, where x = U Σ Vᵀ: after five iterations singular values of a hundredth of the largest and more lie between
 * about 0.7 and 1.2. The polynomial's slope at 0 is as steep as it can be, so that small ones rise fast; it never settles.
 * x: f32[rows, columns] → same
 */
export function newtonSchulz(x: Tensor, steps: number, divisor: (length: Tensor) => Tensor): Tensor {
  const [rows, columns] = x.shape as [number, number];
  const [a, b, c] = [3.4445, -4.775, 2.0315];
  let y = rows > columns ? x.transpose() : x;
  y = y.div(divisor(norm(y)));
  for (let k = 0; k < steps; k++) {
    const gram = y.matmul(y.transpose());
    y = y.mul(a).add(gram.mul(b).add(gram.matmul(gram).mul(c)).matmul(y));
  }
  return rows > columns ? y.transpose() : y;
}

function requireMatrix(path: string, p: Value, dialect: string): Value {
  const { length: rank } = p.shape;
  if (rank === 2 || (rank > 2 && dialect === "optax")) return p;
  const what = rank > 2 ? `a tensor of ${rank} axes` : rank === 1 ? "a vector" : "a scalar";
  fail(
    `muon: the parameter at ${path || "the top"} is ${p}, ${what}; only a matrix can be made orthogonal`,
    `leave it to AdamW by \`only\`, whose default is rank 2${rank > 2 ? '; dialect "optax" takes it as a matrix' : ""}`,
  );
}
