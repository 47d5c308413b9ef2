/**
 * DeepOBS' `quadratic_deep`: a noisy quadratic in 100 dimensions whose eigenvalues are like those of a deep network's
 * Hessian, 90 below 1 and 10 between 30 and 60. Everything is computed from NumPy's generator as there, so that losses can
 * be held against the ones published. Schneider, Balles & Hennig 2019; its loss after Chaudhari et al. 2017.
 */
import type { Tensor } from "../ir/tensor.ts";
import { type Value, value } from "../ir/value.ts";
import { RandomState } from "./random-state.ts";

/** Of the final test loss over ten seeds, at this constant rate. */
export type Published = { readonly lr: number; readonly mean: number; readonly sd: number };

export type QuadraticDeep = {
  /** Q, f32[100, 100]. */
  readonly hessian: Value<"f32">;
  /** x, f32[1000, 100], normal with standard deviation 0.6. */
  readonly train: Value<"f32">;
  /** f32[896, 100]: of 1,000 rows those that fill batches. */
  readonly test: Value<"f32">;
  /** θ at the start: ones, f32[100]. */
  readonly start: Value<"f32">;
  /** Mean of ½ (θ − x)ᵀ Q (θ − x) over the rows of x.  q: f32[100, 100], theta: f32[100], x: f32[n, 100] → scalar */
  readonly loss: (q: Tensor, theta: Tensor, x: Tensor) => Tensor;
  readonly epochs: 100;
  /** Steps in an epoch: the rest of the 1,000 rows is dropped. */
  readonly batches: 7;
  readonly batchSize: 128;
  /** Rows of `train` for each step of an epoch, i32[7, 128], of a seed. The published runs replay one order every epoch. */
  readonly order: (seed: number) => Value<"i32">;
  /** The ten seeds. */
  readonly seeds: readonly number[];
  /** DeepOBS 1.1, ten seeds each. */
  readonly published: { readonly [rule in "sgd" | "momentum" | "adam"]: Published };
};

const dimension = 100;
const batches = 7;
const batchSize = 128;

/** The problem; it takes a few milliseconds to make. */
export function quadraticDeep(): QuadraticDeep {
  return {
    hessian: hessian(),
    train: samples(42, 1000),
    test: samples(43, batches * batchSize),
    start: value([dimension], new Float32Array(dimension).fill(1)),
    loss,
    epochs: 100,
    batches,
    batchSize,
    order: (seed) =>
      value([batches, batchSize], new RandomState(seed).permutation(1000).slice(0, batches * batchSize), "i32"),
    seeds: Array.from({ length: 10 }, (_, k) => 42 + k),
    published: {
      sgd: { lr: 1.5848931925e-2, mean: 87.398, sd: 0.16 },
      momentum: { lr: 2.5118864315e-3, mean: 87.045, sd: 0.024 },
      adam: { lr: 3.9810717055e-2, mean: 87.112, sd: 0.023 },
    },
  };
}

/** As that of the rows' mean and their spread around it, of which θ sees the mean alone: a gradient is one product Q · d. */
function loss(q: Tensor, theta: Tensor, x: Tensor): Tensor {
  const centre = x.mean(0, { keep: true });
  const half = (d: Tensor) => d.matmul(q).mul(d).sum(-1).mean().mul(0.5);
  return half(theta.unsqueeze(0).sub(centre)).add(half(x.sub(centre)));
}

const samples = (seed: number, rows: number): Value<"f32"> => {
  const draw = new RandomState(seed);
  return value(
    [rows, dimension],
    Float32Array.from({ length: rows * dimension }, () => draw.normal(0, 0.6)),
  );
};

/** Q = Rᵀ diag(λ) R. */
function hessian(): Value<"f32"> {
  const draw = new RandomState(42);
  const eigenvalues = Array.from({ length: dimension }, (_, k) => (k < 90 ? draw.uniform() : draw.uniform(30, 60)));
  const rotation = haar(dimension, draw);
  const q = new Float32Array(dimension ** 2);
  for (let i = 0; i < dimension; i++) {
    for (let j = 0; j < dimension; j++) {
      q[i * dimension + j] = eigenvalues.reduce(
        (sum, lambda, k) => sum + rotation[k]![i]! * lambda * rotation[k]![j]!,
        0,
      );
    }
  }
  return value([dimension, dimension], q);
}

/**
 * A rotation drawn uniformly: of the plane by an angle, then one dimension more at a time, each by a reflection that sends the
 * first axis to a random direction. Diaconis & Shahshahani 1987, the subgroup algorithm; negated at the end, as DeepOBS does.
 */
function haar(n: number, draw: RandomState): number[][] {
  const t = 2 * Math.PI * draw.uniform();
  let rows = [
    [Math.cos(t), Math.sin(t)],
    [-Math.sin(t), Math.cos(t)],
  ];
  for (let d = 2; d < n; d++) {
    const v = Array.from({ length: d + 1 }, () => draw.normal());
    const length = Math.hypot(...v);
    const apart = v.map((x, k) => +(k === 0) - x / length);
    const width = Math.hypot(...apart);
    const u = apart.map((x) => x / width);
    const grown = [u.map((_, k) => +(k === 0)), ...rows.map((row) => [0, ...row])];
    const along = u.map((_, j) => grown.reduce((sum, row, k) => sum + u[k]! * row[j]!, 0));
    rows = grown.map((row, k) => row.map((x, j) => x - 2 * u[k]! * along[j]!));
  }
  return rows.map((row) => row.map((x) => -x));
}
