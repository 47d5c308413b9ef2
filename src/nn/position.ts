/**
 * Where a token stands. Attention alone sees a set, not a sequence: positions have to be added to what a token is
 * (learned or sinusoidal), or turned into the queries and keys, so that their products know the distance (rotary).
 */
import { fail } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import { size } from "../ir/shape.ts";
import { literal, type Tensor } from "../ir/tensor.ts";
import { value } from "../ir/value.ts";
import { normal } from "./init.ts";
import { type Init, type Module, module, type ParamSpec, param } from "./module.ts";

/**
 * x + weight[0 … t − 1]: one learned vector for each place.   x: f32[.., t, width] → same, weight: f32[context, width]
 *
 * As an nn.Embedding of the places whose rows are added to x; standard normal at first, as that. Throws where t is
 * more than `context`. Gehring et al. 2017.
 */
export function positionEmbedding(
  context: number,
  width: number,
  options: { readonly weightInit?: Init } = {},
): Module<{ weight: ParamSpec }, readonly [], Tensor> {
  checkOptions("positionEmbedding", options, ["weightInit"]);
  const { weightInit = normal() } = options;
  requireSizes("positionEmbedding", context, width);
  return module({ weight: param([context, width], weightInit) }, (m, x) => {
    requireRoom("positionEmbedding", x, context, width);
    return x.add(m.weight.slice(0, 0, x.shape.at(-2)!));
  });
}

/**
 * x + P, with no parameters.   x: f32[.., t, width] → same, `width` even
 *
 *   P[t, 2i] = sin(t / base^(2i / width)),   P[t, 2i + 1] = cos(t / base^(2i / width))
 *
 * Vaswani et al. 2017, section 3.5; tensor2tensor, its code, has all sines first. Throws where t is more than `context`.
 */
export function sinusoidal(
  context: number,
  width: number,
  options: { readonly base?: number } = {},
): Module<Record<never, never>, readonly [], Tensor> {
  checkOptions("sinusoidal", options, ["base"]);
  const { base = 10_000 } = options;
  requireSizes("sinusoidal", context, width);
  if (width % 2)
    fail(`sinusoidal(${context}, ${width}): the width must be even: each frequency has a sine and a cosine`);
  const angle = angles("sinusoidal", width, base);
  return module({}, (_, x) => {
    requireRoom("sinusoidal", x, context, width);
    const t = x.shape.at(-2)!;
    const at = (k: number) => (k % 2 ? Math.cos : Math.sin)(angle(Math.floor(k / width), Math.floor((k % width) / 2)));
    return x.add(table([t, width], at, x));
  });
}

export type RotaryOptions = {
  /** The longest wave is nearly 2π · base places long. Llama 3 has 500,000. */
  readonly base?: number;
  /** Which two elements make a pair: i and i + d/2 ("half", GPT-NeoX, Llama), or 2i and 2i + 1 ("interleaved"). */
  readonly layout?: "half" | "interleaved";
};

/**
 * Pair i of the vector at place t turned by the angle t / base^(2i / d), so that a product of a query and a key depends
 * on the distance of their places.   x: f32[.., t, d] → same, d even
 *
 *   (a, b) → (a cos − b sin, b cos + a sin)
 *
 * Su et al. 2021, whose pairs are neighbours ("interleaved", also GPT-J's). The default is the layout of GPT-NeoX and of
 * Hugging Face's Llama; weights trained with one are wrong with the other. Throws where d is odd.
 */
export function rotary(x: Tensor, options: RotaryOptions = {}): Tensor {
  checkOptions("rotary", options, ["base", "layout"]);
  const { base = 10_000, layout = "half" } = options;
  if (x.rank < 2 || !x.isFloat) fail(`rotary: expected f32[.., t, d], got ${x}`);
  if (layout !== "half" && layout !== "interleaved") {
    fail(`rotary: unknown layout "${layout}"`, '"half" (GPT-NeoX, Llama) or "interleaved" (GPT-J, the paper)');
  }
  const [t, d] = x.shape.slice(-2) as [number, number];
  if (d % 2)
    fail(`rotary: ${x} has ${d} elements on its last axis; they are turned in pairs`, "choose an even head size");
  const angle = angles("rotary", d, base);
  // Pairs as an axis of length 2: flipped, it is (b, a).
  const pairs = layout === "half" ? [2, d / 2] : [d / 2, 2];
  const axis = layout === "half" ? 0 : 1;
  const turned = (f: (angle: number, second: boolean) => number) =>
    table(
      [t, ...pairs],
      (k) => {
        const [place, at] = [Math.floor(k / d), k % d];
        return axis === 0 ? f(angle(place, at % (d / 2)), at >= d / 2) : f(angle(place, at >> 1), at % 2 === 1);
      },
      x,
    );
  const y = x.reshape([...x.shape.slice(0, -1), ...pairs]);
  const cos = turned(Math.cos);
  const sin = turned((angle, second) => (second ? Math.sin(angle) : -Math.sin(angle)));
  return y
    .mul(cos)
    .add(y.flip(axis - 2).mul(sin))
    .reshape(x.shape);
}

/** The angle of pair i at place t: t / base^(2i / d). */
function angles(what: string, d: number, base: number) {
  if (!(base > 0 && Number.isFinite(base))) fail(`${what}: the base must be positive, got ${base}`);
  return (t: number, i: number): number => t / base ** ((2 * i) / d);
}

/** Worked out in f64 on the host, once: an f32 angle of a thousand radians would be off by 6e-5. */
const table = (shape: readonly number[], at: (k: number) => number, like: Tensor): Tensor =>
  literal(
    value(
      shape,
      Array.from({ length: size(shape) }, (_, k) => at(k)),
      like.dtype,
    ),
  );

function requireSizes(what: string, context: number, width: number): void {
  for (const n of [context, width]) {
    if (!(Number.isInteger(n) && n > 0)) fail(`${what}(${context}, ${width}): sizes must be whole numbers from 1 on`);
  }
}

function requireRoom(what: string, x: Tensor, context: number, width: number): void {
  if (x.rank < 2 || !x.isFloat || x.shape.at(-1) !== width) fail(`${what}: expected f32[.., t, ${width}], got ${x}`);
  const t = x.shape.at(-2)!;
  if (t > context) {
    fail(
      `${what}: ${x} has ${t} places on axis ${x.rank - 2}, the context is ${context}`,
      `shorten the sequence to ${context}, or make the model with a longer context`,
    );
  }
}
