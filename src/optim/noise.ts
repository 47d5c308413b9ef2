/** Noise on the gradient, which leaves a bad start or a sharp valley by chance. */
import { fail } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import * as draw from "../ir/random.ts";
import { asOne, literal, type Tensor } from "../ir/tensor.ts";
import { value } from "../ir/value.ts";
import { foldIn, key } from "../random.ts";
import { mapWithPath } from "../tree.ts";
import { show } from "./hyper.ts";
import type { Transform } from "./transform.ts";

export type NoiseOptions = {
  /** Variance at the first step; 0.01, 0.3 and 1 are those of the paper, the first unless given. */
  readonly eta?: number;
  /** How fast it falls; 0.55 unless given. */
  readonly gamma?: number;
  /** 0 unless given. */
  readonly seed?: number;
};

/**
 * g + N(0, η / (1 + t)^γ), t the steps taken before. Neelakantan et al. 2015, eq. 1.
 *
 * A draw is a function of (seed, path of the parameter, step, element), so a resumed run draws what it would have drawn,
 * and with another part of the net frozen a parameter's noise stays as it was.
 */
export function noise(options: NoiseOptions = {}): Transform {
  checkOptions("noise", options, ["eta", "gamma", "seed"]);
  const { eta = 0.01, gamma = 0.55, seed = 0 } = options;
  for (const [name, x] of Object.entries({ eta, gamma })) {
    if (!(typeof x === "number" && x >= 0 && Number.isFinite(x))) {
      fail(`noise: ${name} must be a finite number ≥ 0, got ${show(x)}`);
    }
  }
  const root = foldIn(key(seed), "gradient noise");
  return {
    gives: "direction",
    describe: `noise(eta ${eta}, gamma ${gamma}, seed ${seed})`,
    init: () => ({}),
    update(direction, state, { step }) {
      const deviation = step
        .log()
        .mul(-gamma / 2)
        .exp()
        .mul(Math.sqrt(eta));
      const noisy = mapWithPath((path, g: Tensor) => {
        const dtype = g.dtype === "f64" ? "f64" : "f32";
        return asOne(() => {
          const mine = draw.foldIn(literal(value([2], foldIn(root, path), "u32")), step.cast("u32"));
          return g.add(draw.normal(mine, g.shape, 0, dtype).mul(deviation.cast(dtype)));
        });
      }, direction);
      return [noisy, state];
    },
  };
}
