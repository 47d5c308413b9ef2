/** A layer around which its input has a way of its own. */
import { fail } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import { sameShape } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type Module, module } from "./module.ts";
import type { Layer } from "./sequential.ts";

type Residual<C> = Module<C, readonly [], Tensor>;

/**
 * x + body(x), or shortcut(x) + body(x), where the shortcut is a projection to the body's shape such as a convolution
 * with the same stride. He et al. 2016.   x: f32[..] → the shape of body(x)
 *
 * Throws where both sides differ in shape: a sum that broadcasts would be a mistake here.
 */
export function residual<B extends Layer>(body: B): Residual<{ readonly body: B }>;
export function residual<B extends Layer, S extends Layer>(
  body: B,
  options: { readonly shortcut: S },
): Residual<{ readonly body: B; readonly shortcut: S }>;
export function residual(body: Layer, options: { readonly shortcut?: Layer } = {}): Residual<any> {
  checkOptions("residual", options, ["shortcut"]);
  const { shortcut } = options;
  return module({ body, ...(shortcut && { shortcut }) }, (m: any, x) => {
    const [y, around]: [Tensor, Tensor] = [m.body(x), shortcut ? m.shortcut(x) : x];
    if (!sameShape(y.shape, around.shape) || y.dtype !== around.dtype) {
      fail(
        `residual: the body gives ${y}, ${shortcut ? "the shortcut" : "and its input is"} ${around}: they do not add`,
        shortcut
          ? undefined
          : "project the input to the body's shape: residual(body, { shortcut: linear(…) or conv2d(…) })",
      );
    }
    return around.add(y);
  });
}
