/**
 * Shampoo: a preconditioner for each axis of a tensor, from the second moments of the gradient's slices along it: full
 * matrix AdaGrad, had its matrix been a product of one small one per axis. Gupta, Koren & Singer 2018.
 */
import { power } from "../../ir/math.ts";
import { type Shape, size } from "../../ir/shape.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { Value } from "../../ir/value.ts";
import { chain } from "../combine.ts";
import type { Chosen, Hyper } from "../hyper.ts";
import { ema, lifted } from "../parts.ts";
import { heavyBall, steepest } from "../rules.ts";
import { filled, type Transform } from "../transform.ts";
import { decayed } from "../weight-decay.ts";
import { adamScale, grafted } from "./graft.ts";
import { inverseRoot } from "./inverse-root.ts";

type Preconditioner = Pick<Hyper, "eps" | "ridge" | "maxDim"> & Partial<Pick<Hyper, "b2">>;
type Shampoo = Chosen<Preconditioner & Pick<Hyper, "graft" | "momentum" | "weightDecay">>;

/** Preconditioned, grafted, then momentum, then decay. Grafted Adam has β₂ 0.999 and ε 1e-8 and no momentum of its own. */
export function shampooRule(o: Shampoo): Transform {
  const u = preconditioned(o);
  const long = o.graft === "sgd" ? steepest() : adamScale({ b2: 0.999, eps: 1e-8 });
  const direction = o.graft === "none" ? u : grafted(u, long);
  return decayed(o, o.momentum ? chain(direction, heavyBall(o)) : direction);
}

/**
 * Algorithm 2 of the paper, 1 for matrices: for each of k axes Hᵢ ← Hᵢ + Gᵢ Gᵢᵀ, u ← u ×ᵢ (Hᵢ + εI)^(−1/2k), where the
 * rows of Gᵢ are the gradient's slices along axis i. Of a matrix: L^(−¼) G R^(−¼). A scalar has one axis of length 1.
 *
 * b2: averages in place of sums (Anil et al. 2020). Axes longer than maxDim have a diagonal Hᵢ (so does the authors' implementation).
 * Roots are taken at every step, of a matrix with a relative ridge (`inverseRoot`), which the paper does not have.
 */
export function preconditioned({ eps, ridge, maxDim, b2 }: Preconditioner): Transform {
  const isFull = (n: number) => n > 1 && n <= maxDim; // of one number, the diagonal is all
  return lifted<Record<string, Value>>("shampoo", {
    init: (p) => Object.fromEntries(axesOf(p).map((n, i) => [i, filled(p, 0, isFull(n) ? [n, n] : [n])])),
    update(g, state) {
      const shape = axesOf(g);
      const tensor = g.reshape(shape);
      let u = tensor;
      const next = shape.map((n, i) => {
        const slices = unfolded(tensor, i);
        const moment = isFull(n) ? slices.matmul(slices.transpose()) : slices.square().sum(1);
        const h = b2 === undefined ? state[i]!.add(moment) : ema(state[i]!, moment, b2);
        const order = 2 * shape.length;
        if (isFull(n)) u = folded(inverseRoot(h, order, { eps, ridge }).matmul(unfolded(u, i)), shape, i);
        else u = u.mul(power(h.add(eps), -1 / order).reshape(shape.map((_, k) => (k === i ? n : 1))));
        return [i, h];
      });
      return [u.reshape(g.shape), Object.fromEntries(next)];
    },
  });
}

const axesOf = ({ shape }: { shape: Shape }): Shape => (shape.length ? shape : [1]);

/** Axis i, then all others as one: [n, rest]. */
function unfolded(x: Tensor, i: number): Tensor {
  const n = x.shape[i]!;
  return x.permute(first(x.rank, i)).reshape([n, size(x.shape) / n]);
}

/** What was unfolded, in its own shape. */
function folded(x: Tensor, shape: Shape, i: number): Tensor {
  const order = first(shape.length, i);
  return x.reshape(order.map((k) => shape[k]!)).permute(order.map((_, k) => order.indexOf(k)));
}

const first = (rank: number, i: number): number[] => [i, ...Array.from({ length: rank }, (_, k) => k).toSpliced(i, 1)];
