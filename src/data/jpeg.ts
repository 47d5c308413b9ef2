/**
 * JPEG, by jpeg-js. Its markers are walked first: that finds size, kind and EXIF orientation without decoding, refuses
 * what would come out in other colours or take without bound, and tells a whole file from one that is cut off.
 *
 * Colour follows libjpeg: three components are Y'CbCr, unless an Adobe marker or the names R, G, B say otherwise. Where
 * colour is stored at a lower resolution, jpeg-js repeats it; libjpeg, and so Pillow, interpolates: edges of colour differ.
 *
 * Source: ITU-T T.81, annex B; Exif 2.32, 4.6.4 (orientation).
 */
import jpeg from "jpeg-js";
import { fail } from "../ir/fail.ts";
import type { Raster } from "./raster.ts";

export type JpegHeader = {
  /** As stored, before the orientation is applied. */
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** Y'CbCr rather than red, green, blue. */
  readonly luminance: boolean;
  /** 1 to 8, as EXIF numbers them; 1 where the file does not say. */
  readonly orientation: number;
};

type Frame = { readonly width: number; readonly height: number; readonly components: readonly number[] };

/** A progressive file describes its picture in some ten scans; each one more costs time, and hardly a byte. */
const mostScans = 100;

/** Throws, naming `source`, where the file is cut off, or of a kind that this decoder does not know. */
export function jpegHeader(bytes: Uint8Array, source: string): JpegHeader {
  let frame: Frame | undefined;
  let adobe: number | undefined;
  let jfif = false;
  let orientation = 1;
  let scans = 0;
  for (const { marker, content } of segments(bytes, source)) {
    if (isFrame(marker)) {
      if (frame) fail(`${source}: a JPEG of several frames cannot be read`, convert);
      frame = readFrame(marker, content, source);
    } else if (marker === 0xda) scans++;
    else if (marker === 0xe0) jfif ||= startsWith(content, "JFIF\0");
    else if (marker === 0xe1 && startsWith(content, "Exif\0\0")) orientation = orientationOf(content.subarray(6));
    else if (marker === 0xee && startsWith(content, "Adobe")) adobe = content[11];
  }
  if (!frame || scans === 0) return fail(`${source}: the JPEG is damaged: it holds no picture`);
  if (scans > mostScans) fail(`${source}: a JPEG of ${scans} scans is refused; ${mostScans} are the most`, convert);
  const { width, height, components } = frame;
  const n = components.length;
  if (n === 4) {
    fail(
      `${source}: a JPEG of four colours (CMYK, for printing) cannot be shown in red, green and blue alone`,
      "convert it to RGB",
    );
  }
  if (n !== 1 && n !== 3) fail(`${source}: a JPEG of ${n} components is neither grey nor in colour`, convert);
  const named = components.join() !== [..."RGB"].map((c) => c.charCodeAt(0)).join();
  const luminance = jfif || (adobe === undefined ? named : adobe !== 0);
  return { width, height, channels: n, luminance, orientation };
}

/** Throws, naming `source`, where the file is damaged. `header` is `jpegHeader` of the same bytes. */
export function decodeJpeg(bytes: Uint8Array, header: JpegHeader, source: string): Raster {
  const { width, height, channels, luminance } = header;
  try {
    // Its own bounds are above what it takes for a picture whose size the caller has agreed to: about 32 bytes a pixel.
    const { data } = jpeg.decode(bytes, {
      useTArray: true,
      formatAsRGBA: false,
      colorTransform: luminance,
      maxResolutionInMP: Number.POSITIVE_INFINITY,
      maxMemoryUsageInMB: 64 + (width * height) / 2 ** 15,
    });
    const grey = channels === 1 ? data.filter((_, k) => k % 3 === 0) : data;
    return { width, height, channels, data: grey, most: 255 };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fail(`${source}: the JPEG is damaged (${reason})`);
  }
}

const convert = "convert it to a PNG or an ordinary JPEG";

type Segment = { readonly marker: number; readonly content: Uint8Array };

/** What lies between the markers, up to the end of the image. A scan's packed data are skipped. */
function* segments(bytes: Uint8Array, source: string): Generator<Segment> {
  const cutOff = () =>
    fail(`${source}: the JPEG is cut off: it ends after ${bytes.length} bytes, before its end marker`);
  let at = 2;
  while (true) {
    at = bytes.indexOf(0xff, at);
    if (at < 0) cutOff();
    while (bytes[at] === 0xff) at++; // a marker may be filled up with them
    const marker = bytes[at++] ?? cutOff();
    if (marker === 0xd9) return;
    if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue; // data of a scan, or a restart within it
    const end = at + (bytes[at]! << 8) + bytes[at + 1]!;
    if (!(end <= bytes.length)) cutOff();
    yield { marker, content: bytes.subarray(at + 2, end) };
    at = Math.max(end, at + 2);
  }
}

/** SOF0 to SOF15; three numbers in between are other markers. */
const isFrame = (marker: number) => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);

function readFrame(marker: number, content: Uint8Array, source: string): Frame {
  if (marker > 0xc2) {
    const kind = marker === 0xc3 ? "a lossless" : marker < 0xc8 ? "a hierarchical" : "an arithmetic-coded";
    fail(`${source}: ${kind} JPEG cannot be read`, convert);
  }
  const [precision = 0, h1 = 0, h0 = 0, w1 = 0, w0 = 0, n = 0] = content;
  if (content.length < 6 + 3 * n) fail(`${source}: the JPEG is damaged: its frame header is too short`);
  if (precision !== 8) fail(`${source}: a JPEG of ${precision} bits per sample cannot be read`, convert);
  return {
    width: w1 * 256 + w0,
    height: h1 * 256 + h0,
    components: Array.from({ length: n }, (_, k) => content[6 + 3 * k]!),
  };
}

const startsWith = (bytes: Uint8Array, text: string): boolean =>
  [...text].every((c, k) => bytes[k] === c.charCodeAt(0));

/** From the first directory of a TIFF structure: tag 274, one u16. What cannot be read means 1, as in other readers. */
function orientationOf(tiff: Uint8Array): number {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  if (tiff.length < 10) return 1;
  const little = tiff[0] === 0x49;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return 1;
  const entries = view.getUint16(directory, little);
  for (let k = 0; k < entries; k++) {
    const at = directory + 2 + 12 * k;
    if (at + 12 > tiff.length) return 1;
    if (view.getUint16(at, little) !== 274) continue;
    const found = view.getUint16(at + 8, little);
    return found >= 1 && found <= 8 ? found : 1;
  }
  return 1;
}
