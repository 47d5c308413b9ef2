/**
 * Images as numbers: PNG and JPEG bytes, told by their content. Runs in a browser; folders are in image-folder.ts.
 *
 *   const x = decodeImage(bytes, { channels: 3 });     // f32[3, h, w] in [0, 1]
 *   const small = resize(x, [32, 32]);
 */
import { fail, requireBytes, shown } from "../ir/fail.ts";
import { Value } from "../ir/value.ts";
import { requireOptions } from "./given.ts";
import { decodeJpeg, type JpegHeader, jpegHeader } from "./jpeg.ts";
import { decodePng, type PngHeader, pngHeader, pngSignature } from "./png.ts";
import { lies, planes } from "./raster.ts";

export { type Fit, type ResizeOptions, resize } from "./resize.ts";

export type ImageOptions = {
  /** Named in errors. */
  readonly source?: string;
  /** 1 makes colours grey (luma, ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B), 3 repeats grey; as in the file unless given. */
  readonly channels?: 1 | 3;
  /** The grey in [0, 1] that shows through where a PNG is transparent; 1, white, unless given. */
  readonly background?: number;
  /** Larger images are refused before they are decoded; 2²⁵ (34 million) unless given. */
  readonly maxPixels?: number;
};

/** What an image will be once it is decoded. */
export type ImageHeader = {
  readonly format: "PNG" | "JPEG";
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
};

type Opened =
  | { readonly format: "PNG"; readonly header: PngHeader; readonly orientation: 1 }
  | { readonly format: "JPEG"; readonly header: JpegHeader; readonly orientation: number };

/**
 * The pixels of a PNG or JPEG file in [0, 1].  → f32[c, h, w], c = 1 (grey) or 3 (red, green, blue)
 *
 * PNG of 1 to 16 bits, with palette or without; transparency is composited onto `background` in the stored values (where
 * torchvision's loader drops it); an animation is its first picture; interlaced ones need 8 bits. JPEG baseline and
 * progressive, turned as its EXIF orientation says (torchvision's loader does not). Colour profiles and gamma are not
 * applied.
 *
 * Throws, naming `source`, where the bytes are another format, cut off or damaged, larger than `maxPixels`, or a JPEG of
 * four colours, of 12 bits, lossless, or arithmetic-coded.
 */
export function decodeImage(bytes: Uint8Array, options: ImageOptions = {}): Value<"f32"> {
  requireBytes("decodeImage", bytes);
  requireOptions("decodeImage", options, "decodeImage(bytes, { channels: 3 })");
  const { source = "image", background = 1, channels } = options;
  if (!(background >= 0 && background <= 1))
    fail(`decodeImage: the background must lie in [0, 1], got ${shown(background)}`);
  if (channels !== undefined && channels !== 1 && channels !== 3) {
    fail(`decodeImage: images have 1 or 3 channels, got ${shown(channels)}`);
  }
  const opened = open(bytes, source, options.maxPixels);
  const raster =
    opened.format === "PNG" ? decodePng(bytes, opened.header, source) : decodeJpeg(bytes, opened.header, source);
  return withChannels(planes(raster, background, opened.orientation), channels);
}

/** Size and channels of a PNG or JPEG file from its header. Throws what can be known to be wrong without decoding. */
export function imageHeader(bytes: Uint8Array, options: Pick<ImageOptions, "source" | "maxPixels"> = {}): ImageHeader {
  requireBytes("imageHeader", bytes);
  requireOptions("imageHeader", options, "imageHeader(bytes, { maxPixels: 2 ** 20 })");
  const { source = "image", maxPixels } = options;
  const { format, header, orientation } = open(bytes, source, maxPixels);
  const [height, width] = lies(orientation) ? [header.width, header.height] : [header.height, header.width];
  return { format, channels: header.channels, height, width };
}

function open(bytes: Uint8Array, source: string, maxPixels = 2 ** 25): Opened {
  const opened = formatOf(bytes, source);
  const { width, height } = opened.header;
  if (width === 0 || height === 0) fail(`${source}: the ${opened.format} is ${width} × ${height} pixels`);
  if (width * height > maxPixels) {
    fail(
      `${source}: ${width} × ${height} pixels are more than the ${maxPixels} that an image may have`,
      "make it smaller first, or raise maxPixels",
    );
  }
  return opened;
}

function formatOf(bytes: Uint8Array, source: string): Opened {
  if (bytes.length === 0) fail(`${source}: the file is empty`);
  if (begins(bytes, pngSignature)) return { format: "PNG", header: pngHeader(bytes, source), orientation: 1 };
  if (begins(bytes, [0xff, 0xd8, 0xff])) {
    const header = jpegHeader(bytes, source);
    return { format: "JPEG", header, orientation: header.orientation };
  }
  const other = others.find(({ at = 0, magic }) => begins(bytes.subarray(at), codes(magic)));
  if (other) fail(`${source}: this is ${other.name}, which cannot be read`, "convert it to PNG or JPEG");
  if (begins(bytes, pngSignature.slice(0, 4))) {
    fail(`${source}: the PNG is damaged: its first bytes were changed, as by a transfer as text`, "copy it again");
  }
  const text = bytes.subarray(0, 64).every((b) => b >= 0x20 || b === 0x09 || b === 0x0a || b === 0x0d);
  return fail(`${source}: this is ${text ? "text" : "no PNG or JPEG"}, not an image that can be read`);
}

/** Formats that are met under any name. */
const others: readonly { readonly name: string; readonly magic: string; readonly at?: number }[] = [
  { name: "a GIF", magic: "GIF8" },
  { name: "a WebP", magic: "WEBP", at: 8 },
  { name: "a BMP", magic: "BM" },
  { name: "a TIFF", magic: "II*\0" },
  { name: "a TIFF", magic: "MM\0*" },
  { name: "an AVIF", magic: "ftypavif", at: 4 },
  { name: "a HEIC", magic: "ftyp", at: 4 },
  { name: "a JPEG 2000", magic: "\0\0\0\x0cjP  " },
  { name: "a JPEG XL", magic: "\0\0\0\x0cJXL " },
  { name: "a JPEG XL", magic: "\xff\x0a" },
  { name: "an SVG", magic: "<svg" },
  { name: "an SVG", magic: "<?xml" },
  { name: "a PDF", magic: "%PDF" },
  { name: "gzip data", magic: "\x1f\x8b" },
  { name: "a ZIP archive", magic: "PK\x03\x04" },
];

const codes = (text: string): number[] => [...text].map((c) => c.charCodeAt(0));
const begins = (bytes: Uint8Array, magic: readonly number[]): boolean => magic.every((b, k) => bytes[k] === b);

function withChannels(x: Value<"f32">, wanted: 1 | 3 | undefined): Value<"f32"> {
  const [c, h, w] = x.shape as readonly [number, number, number];
  if (wanted === undefined || wanted === c) return x;
  const n = h * w;
  const out = new Float32Array(wanted * n);
  if (wanted === 3) for (let j = 0; j < 3; j++) out.set(x.data, j * n);
  else for (let k = 0; k < n; k++) out[k] = 0.299 * x.data[k]! + 0.587 * x.data[n + k]! + 0.114 * x.data[2 * n + k]!;
  return new Value("f32", [wanted, h, w], out);
}
