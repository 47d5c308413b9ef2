/** Decoded pixels on their way to numbers: interleaved samples turned, composited and laid out in planes. */
import { Value } from "../ir/value.ts";

/** Samples as a decoder gives them: pixel after pixel, row after row. */
export type Raster = {
  readonly width: number;
  readonly height: number;
  /** Grey, grey and alpha, red green blue, red green blue alpha. */
  readonly channels: 1 | 2 | 3 | 4;
  readonly data: Uint8Array | Uint16Array;
  /** What stands for 1: 255, or 65,535. */
  readonly most: number;
};

/**
 * Where EXIF's orientations 1 to 8 begin to read a picture of w × h, and how far it is to the next row and the next
 * column of what is shown. From 5 on rows and columns change places.
 */
const orientations: readonly ((w: number, h: number) => readonly [start: number, row: number, column: number])[] = [
  (w) => [0, w, 1],
  (w) => [w - 1, w, -1],
  (w, h) => [w * h - 1, -w, -1],
  (w, h) => [w * (h - 1), -w, 1],
  (w) => [0, 1, w],
  (w, h) => [w * (h - 1), 1, -w],
  (w, h) => [w * h - 1, -1, -w],
  (w) => [w - 1, -1, w],
];

/** Whether a picture of this orientation is shown with rows and columns exchanged. */
export const lies = (orientation: number): boolean => orientation >= 5;

/** In [0, 1], alpha composited onto a background of that grey.  → f32[c, h, w] with c of 1 or 3 */
export function planes(raster: Raster, background: number, orientation = 1): Value<"f32"> {
  const { width, height, channels, data, most } = raster;
  const [start, row, column] = orientations[orientation - 1]!(width, height);
  const [h, w] = lies(orientation) ? [width, height] : [height, width];
  const colours = channels < 3 ? 1 : 3;
  const hasAlpha = colours < channels;
  const out = new Float32Array(colours * h * w);
  for (let r = 0, k = 0; r < h; r++) {
    for (let c = 0; c < w; c++, k++) {
      const at = (start + r * row + c * column) * channels;
      const alpha = hasAlpha ? data[at + colours]! / most : 1;
      for (let j = 0; j < colours; j++) {
        out[j * h * w + k] = (data[at + j]! / most) * alpha + background * (1 - alpha);
      }
    }
  }
  return new Value("f32", [colours, h, w], out);
}
