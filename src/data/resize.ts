/**
 * Images of another size: bilinear interpolation whose triangle widens with the scale where an image shrinks, so that
 * every pixel counts and nothing flickers (antialias). The two axes are independent, and are taken one after the other.
 *
 * Source: Pillow's `Image.resize(…, BILINEAR)`, in floats; torchvision's `resize(…, antialias=True)` is the same.
 */
import { fail, shown } from "../ir/fail.ts";
import { Value } from "../ir/value.ts";
import { requireOptions } from "./given.ts";

/** "crop": scaled until it covers the size, and what stands out is cut off on both sides. "stretch": axes on their own. */
export type Fit = "crop" | "stretch";
export type ResizeOptions = { readonly fit?: Fit };

/** What one pixel is made of: weights of those from `from` on. */
type Taps = { readonly from: number; readonly weights: readonly number[] };

/**
 * x: f32[c, h, w] → f32[c, size[0], size[1]]
 *
 * `fit` is "crop" unless given, torchvision's `Resize(s)` and `CenterCrop(s)`: proportions stay, and of a long image the
 * ends are lost. Throws unless the sizes are whole and at least 1.
 */
export function resize(x: Value<"f32">, size: readonly [number, number], options: ResizeOptions = {}): Value<"f32"> {
  const call = "resize(decodeImage(bytes), [32, 32])";
  if (!(x instanceof Value)) fail(`resize: expected an image, f32[c, h, w], got ${shown(x)}`, call);
  if (!Array.isArray(size)) fail(`resize: a size is [height, width], got ${shown(size)}`, call);
  requireOptions("resize", options, 'resize(x, [32, 32], { fit: "crop" })');
  const { fit = "crop" } = options;
  if (fit !== "crop" && fit !== "stretch") fail(`resize: fit: expected "crop" or "stretch", got ${shown(fit)}`);
  const [height, width] = size;
  if (x.shape.length !== 3) fail(`resize: an image is f32[c, h, w], got ${x}`);
  if (![height, width].every((n) => Number.isSafeInteger(n) && n >= 1)) {
    fail(`resize: a size is [height, width], whole and at least 1, got [${size}]`);
  }
  const [channels, h, w] = x.shape as readonly [number, number, number];
  if (h === height && w === width) return x;
  const tall = fit === "crop" && h * width > w * height;
  const wide = fit === "crop" && h * width < w * height;
  const rows = taps(h, tall ? Math.floor((h * width) / w) : height, height);
  const columns = taps(w, wide ? Math.floor((w * height) / h) : width, width);
  const out = new Float32Array(channels * height * width);
  const narrow = new Float64Array(h * width);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < h; y++) {
      const row = (c * h + y) * w;
      for (let k = 0; k < width; k++) narrow[y * width + k] = weigh(x.data, row, 1, columns[k]!);
    }
    for (let r = 0; r < height; r++) {
      for (let k = 0; k < width; k++) out[(c * height + r) * width + k] = weigh(narrow, k, width, rows[r]!);
    }
  }
  return new Value("f32", [channels, height, width], out);
}

function weigh(data: Float32Array | Float64Array, start: number, step: number, { from, weights }: Taps): number {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += weights[k]! * data[start + (from + k) * step]!;
  return sum;
}

/** From n pixels to `to`, of which the middle `kept` are wanted. */
function taps(n: number, to: number, kept: number): Taps[] {
  const scale = n / to;
  const reach = Math.max(scale, 1);
  const first = roundHalfEven((to - kept) / 2);
  return Array.from({ length: kept }, (_, i) => {
    const centre = (first + i + 0.5) * scale;
    const from = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(n, Math.floor(centre + reach + 0.5));
    const weights = Array.from({ length: end - from }, (_, k) =>
      Math.max(0, 1 - Math.abs(from + k + 0.5 - centre) / reach),
    );
    const sum = weights.reduce((a, b) => a + b, 0);
    return { from, weights: weights.map((v) => v / sum) };
  });
}

/** Python's `round`, which torchvision's `CenterCrop` takes. */
const roundHalfEven = (x: number): number => {
  const low = Math.floor(x);
  return x - low === 0.5 ? low + (low % 2) : Math.round(x);
};
