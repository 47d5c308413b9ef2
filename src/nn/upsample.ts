/** Upsampling: what pooling or a stride made small, made large again. */
import { fail, shown } from "../ir/fail.ts";
import type { Tensor } from "../ir/tensor.ts";
import { expectSpatial, type PerAxis, perAxis } from "./spatial.ts";

/**
 * Each element `scale` times along each spatial axis, or along axis k `scale[k]` times: nearest neighbour.
 *   f32[n, c, h, w] → f32[n, c, scale·h, scale·w], and so for one or three axes
 *
 * Throws where a scale is no whole number from 1 on, where anything else is given, such as PyTorch's mode, and where x
 * has other axes or is no float.
 */
export const upsample = (scale: PerAxis, ...more: readonly never[]): ((x: Tensor) => Tensor) => {
  if (more.length) fail(`upsample: it takes the scale alone, got also ${shown(more[0])}`, "nearest neighbour is all");
  perAxis("upsample", "the scale", scale, Array.isArray(scale) ? scale.length : 1, 1);
  return (x) => {
    const rank = typeof scale === "number" ? Math.max(1, x.rank - 2) : scale.length;
    expectSpatial("upsample", x, rank);
    const times = perAxis("upsample", "the scale", scale, rank, 1);
    const [n, c, ...s] = x.shape as [number, number, ...number[]];
    const apart = x.reshape([n, c, ...s.flatMap((m) => [m, 1])]);
    const repeated = apart.expand([n, c, ...s.flatMap((m, k) => [m, times[k]!])]);
    return repeated.reshape([n, c, ...s.map((m, k) => m * times[k]!)]);
  };
};
