/**
 * Augmentation: images changed at random in training, each on its own, so that a network sees no image twice. They are
 * modules like any other, and stand first in a sequential; outside training they do what needs no luck.
 *
 *   sequential(normalize(0.29, 0.35), randomCrop(28, { padding: 2 }), randomFlip(), conv2d(1, 16, 3), …)
 *
 * Draws are integers, functions of the step's key, the module's path and the image: the same on every backend.
 */
import { fail, shown } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import { bits, chance } from "../ir/random.ts";
import { iota, literal, type Tensor } from "../ir/tensor.ts";
import { value } from "../ir/value.ts";
import { type Module, module } from "./module.ts";

type Augmentation = Module<Record<never, never>, readonly [], Tensor>;

/**
 * In training each image is mirrored with probability `rate` (0.5 unless given), left to right, or along the "vertical"
 * axis top to bottom.   x: [n, c, h, w] → same
 *
 * As torchvision's RandomHorizontalFlip and RandomVerticalFlip. Throws unless 0 ≤ rate ≤ 1, and in training where
 * `apply` got no key.
 */
export function randomFlip(
  options: { readonly axis?: "horizontal" | "vertical"; readonly rate?: number } = {},
): Augmentation {
  checkOptions("randomFlip", options, ["axis", "rate"]);
  const { axis = "horizontal", rate = 0.5 } = options;
  if (axis !== "horizontal" && axis !== "vertical") {
    fail(`randomFlip: unknown axis ${shown(axis)}`, '"horizontal" or "vertical"');
  }
  if (!(rate >= 0 && rate <= 1)) fail(`randomFlip: the rate must lie in 0 ≤ rate ≤ 1, got ${rate}`);
  return module({}, (_, x, { training, draw }) => {
    const [n] = imagesOf("randomFlip", x);
    if (!training || rate === 0) return x;
    const { key, stream } = draw();
    return chance(rate, key, [n, 1, 1, 1], stream).where(x.flip(axis === "horizontal" ? 3 : 2), x);
  });
}

/**
 * A part of `size`, height and width or one number for a square, of images that first get `padding` zeros on every
 * side. In training it lies at random, each image's elsewhere; otherwise in the middle.   x: [n, c, h, w] → [n, c, ..size]
 *
 * As torchvision's RandomCrop(size, padding), and outside training Pad and CenterCrop. Throws where the part is larger than the padded image, and in training where `apply`
 * got no key.
 */
export function randomCrop(
  size: number | readonly [height: number, width: number],
  options: { readonly padding?: number } = {},
): Augmentation {
  checkOptions("randomCrop", options, ["padding"]);
  const { padding = 0 } = options;
  const [height, width] = typeof size === "number" ? [size, size] : size;
  if (![height, width].every((k) => Number.isInteger(k) && k >= 1) || !(Number.isInteger(padding) && padding >= 0)) {
    fail(`randomCrop: size and padding are whole numbers of pixels, got [${[height, width]}] and ${padding}`);
  }
  return module({}, (_, x, { training, draw }) => {
    const [n, c, h, w] = imagesOf("randomCrop", x);
    const [spareRows, spareColumns] = [h + 2 * padding - height, w + 2 * padding - width];
    if (spareRows < 0 || spareColumns < 0) {
      const padded = padding ? ` and ${padding} pixels of padding` : "";
      fail(`randomCrop: a part of ${height} × ${width} pixels does not fit into ${x}${padded}`);
    }
    if (!training || spareRows + spareColumns === 0) {
      const [top, left] = [middle(spareRows), middle(spareColumns)];
      const edge: readonly [number, number] = [padding, padding];
      return x.pad([[0, 0], [0, 0], edge, edge]).shrink([
        [0, n],
        [0, c],
        [top, top + height],
        [left, left + width],
      ]);
    }
    const { key, stream } = draw();
    const word = bits(key, [2, n], stream);
    const offset = (k: 0 | 1, spare: number) => below(spare + 1, word.slice(0, k, k + 1)).sub(padding);
    const row = offset(0, spareRows).reshape([n, 1, 1, 1]).add(along(2, height));
    const column = offset(1, spareColumns).reshape([n, 1, 1, 1]).add(along(3, width));
    // Read in place by computed numbers, and not from a padded copy: half the time of any other way that was measured.
    const plane = along(0, n).mul(c).add(along(1, c));
    const part = x.reshape([-1]).gather(
      plane
        .mul(h)
        .add(row)
        .mul(w)
        .add(column)
        .bound(n * c * h * w, "randomCrop"),
    );
    if (padding === 0) return part;
    return within(row, h).and(within(column, w)).where(part, 0);
  });
}

/**
 * (x − mean) / deviation, in training and outside: numbers for all channels, or a list with one for each.
 *   x: f32[n, c, h, w] → same
 *
 * As torchvision's Normalize. Throws where a deviation is not above 0, and where a list is not as long as x has channels.
 */
export function normalize(mean: number | readonly number[], deviation: number | readonly number[]): Augmentation {
  const [means, deviations] = [[mean].flat(), [deviation].flat()];
  if (!deviations.every((d) => d > 0) || !means.every(Number.isFinite)) {
    fail(`normalize: means must be finite and deviations above 0, got ${means} and ${deviations}`);
  }
  return module({}, (_, x) => {
    const [, c] = imagesOf("normalize", x);
    const perChannel = (what: string, v: readonly number[]) => {
      if (v.length === 1) return v[0]!;
      if (v.length !== c) fail(`normalize: ${v.length} ${what} for the ${c} channels of ${x}`);
      return literal(value([c, 1, 1], v, x.dtype));
    };
    return x.sub(perChannel("means", means)).div(perChannel("deviations", deviations));
  });
}

function imagesOf(what: string, x: Tensor): readonly [n: number, c: number, h: number, w: number] {
  if (x.rank !== 4) {
    fail(
      `${what}: images are [n, c, h, w], got ${x}`,
      x.rank === 3 ? "give grey ones an axis: x.unsqueeze(1)" : undefined,
    );
  }
  return x.shape as readonly [number, number, number, number];
}

/** Python's `round(spare / 2)`, which CenterCrop takes: a half goes to the even neighbour. */
const middle = (spare: number): number => Math.floor(spare / 2) + Number(spare % 4 === 3);

/** 0 … length − 1 along one axis of four. */
const along = (axis: number, length: number): Tensor => iota(length).reshape([1, 1, 1, 1].with(axis, length));

const within = (at: Tensor, n: number): Tensor => at.lt(0).or(at.lt(n).not()).not();

/** A whole number from 0 to n − 1 out of 32 random bits, ⌊word · n / 2³²⌋ in two halves of 16 bits.  n ≤ 2¹⁶ */
const below = (n: number, word: Tensor): Tensor =>
  word
    .mul(2 ** 16)
    .shr(16)
    .mul(n)
    .shr(16)
    .add(word.shr(16).mul(n))
    .shr(16)
    .cast("i32");
