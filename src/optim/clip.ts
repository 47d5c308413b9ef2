/**
 * Clipping, for the front of a chain: bounds on what a single step can do. Three different things go by this name
 * (Keras' `clipnorm` is per tensor, PyTorch's `clip_grad_norm_` global), so each is named for what it bounds.
 */
import { fail } from "../ir/fail.ts";
import { clip, norm } from "../ir/math.ts";
import { checkOptions } from "../ir/options.ts";
import { asOne, scalar, Tensor } from "../ir/tensor.ts";
import { leaves, map } from "../tree.ts";
import { type Dialect, show } from "./hyper.ts";
import { leafwise, type Transform } from "./transform.ts";

/** Each number to [−limit, limit]. */
export function clipValue(limit: number): Transform {
  requireLimit("clipValue", limit);
  return leafwise(`clipValue(${limit})`, { update: (g) => clip(g, -limit, limit) });
}

/** Each tensor, by itself, to a norm of at most `limit`; PyTorch's formula, or min(1, limit / norm). */
export function clipTensorNorm(limit: number, { dialect = "torch" }: { dialect?: Dialect } = {}): Transform {
  requireLimit("clipTensorNorm", limit);
  return leafwise(`clipTensorNorm(${limit}; ${dialect})`, {
    update: (g) => g.mul(coefficient(norm(g), limit, dialect)),
  });
}

/**
 * All tensors, by one factor, to a norm of at most `limit`: direction kept. Pascanu, Mikolov & Bengio 2013, algorithm 1.
 * The factor is min(1, limit / (norm + 1e-6)) in PyTorch's dialect, min(1, limit / norm) in the others.
 */
export function clipGlobalNorm(limit: number, { dialect = "torch" }: { dialect?: Dialect } = {}): Transform {
  requireLimit("clipGlobalNorm", limit);
  return {
    gives: "direction",
    describe: `clipGlobalNorm(${limit}; ${dialect})`,
    init: () => ({}),
    update(direction, state) {
      return asOne(() => {
        const factor = coefficient(globalNorm(direction), limit, dialect);
        return [map((g: Tensor) => g.mul(factor.cast(g.dtype)), direction), state];
      });
    },
  };
}

/**
 * Each unit, by itself, to a norm of at most `limit` times that of its weights, or of `eps` where they are smaller, so that
 * no step is large beside what it moves: adaptive gradient clipping. Brock et al. 2021, eq. 3.
 *
 * A unit is what leads to one output: the first axis of linear[out, in] and convolution[out, in, ..taps] weights, as in
 * PyTorch (JAX has it last); a vector is one unit. The weight of a transposed convolution has its output second.
 * The paper leaves the last layer as it is: `only(where, agc())`. Optax takes a matrix with one column for a vector.
 */
export function agc(limit = 0.01, options: { readonly eps?: number } = {}): Transform {
  requireLimit("agc", limit);
  checkOptions("agc", options, ["eps"]);
  const { eps = 1e-3 } = options;
  if (!(typeof eps === "number" && eps > 0 && Number.isFinite(eps))) {
    fail(
      `agc: eps must be a finite number > 0, got ${show(eps)}`,
      "without it weights that begin at 0 would stay there",
    );
  }
  return leafwise(`agc(${limit}, eps ${eps})`, {
    update(g, _, { p }) {
      const within = unit(g);
      const length = norm(g, within, { keep: true });
      const most = norm(p, within, { keep: true }).max(eps).mul(limit);
      return g.mul(length.le(most).where(scalar(1, g.dtype), most.div(length)));
    },
  });
}

/** The axes of what leads to one output: all but the first, and of a vector all. */
export const unit = (t: Tensor): number[] => t.shape.map((_, axis) => axis).slice(t.rank < 2 ? 0 : 1);

/** √ Σ x² over all tensors of a tree, before any clipping: the number to log. → scalar of the widest dtype among them */
export function globalNorm(tree: unknown): Tensor {
  const list = leaves(tree);
  if (list.some((g) => !(g instanceof Tensor))) fail("globalNorm: a leaf is not a tensor");
  if (list.length === 0) return scalar(0);
  const dtype = list.some((g) => g.dtype === "f64") ? "f64" : "f32";
  const squares = (g: Tensor) => g.cast(dtype).square().sum();
  return asOne(() =>
    (list as Tensor[])
      .map(squares)
      .reduce((a, b) => a.add(b))
      .sqrt(),
  );
}

function coefficient(length: Tensor, limit: number, dialect: Dialect): Tensor {
  if (dialect === "torch") return scalar(limit, length.dtype).div(length.add(1e-6)).min(1);
  return length.le(limit).where(scalar(1, length.dtype), scalar(limit, length.dtype).div(length));
}

function requireLimit(what: string, limit: unknown): void {
  if (!(typeof limit === "number" && limit > 0 && Number.isFinite(limit))) {
    fail(`${what}: the limit must be a finite number > 0, got ${show(limit)}`);
  }
}
