/**
 * PNG, by fast-png. What that library leaves open is closed here, before it sees the bytes: sizes and the length of the
 * unpacked data are checked, so that a small file cannot ask for much memory; chunks that hold no pixels are dropped;
 * what it would decode into other colours is refused. It unpacks and unfilters; samples are read here.
 *
 * Source: Portable Network Graphics, W3C recommendation, third edition.
 */
import { decode } from "fast-png";
import { Unzlib } from "fflate";
import { fail } from "../ir/fail.ts";
import type { Raster } from "./raster.ts";

export const pngSignature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

export type PngHeader = {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly depth: number;
  readonly colour: number;
  readonly interlaced: boolean;
};

/** Colour types: samples per pixel, and bits per sample that may go with them. */
const colours: Readonly<Record<number, { readonly samples: 1 | 2 | 3 | 4; readonly depths: readonly number[] }>> = {
  0: { samples: 1, depths: [1, 2, 4, 8, 16] },
  2: { samples: 3, depths: [8, 16] },
  3: { samples: 1, depths: [1, 2, 4, 8] },
  4: { samples: 2, depths: [8, 16] },
  6: { samples: 4, depths: [8, 16] },
};
const palette = 3;

/** Throws, naming `source`, where the first chunk is no header that this decoder can follow. */
export function pngHeader(bytes: Uint8Array, source: string): PngHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33) fail(`${source}: the PNG is cut off: ${bytes.length} bytes, less than its header`);
  if (nameAt(bytes, 12) !== "IHDR" || view.getUint32(8) !== 13) {
    fail(`${source}: the PNG does not begin with its header, but with a chunk ${nameAt(bytes, 12)}`);
  }
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const [depth = 0, colour = 0, compression = 0, filter = 0, interlace = 0] = bytes.subarray(24, 29);
  if (!colours[colour]?.depths.includes(depth)) {
    fail(`${source}: the PNG's header is damaged: there is no colour type ${colour} of ${depth} bits`);
  }
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    fail(`${source}: the PNG's header is damaged: no PNG is packed by method ${compression}, ${filter}, ${interlace}`);
  }
  const interlaced = interlace === 1;
  if (interlaced && depth < 8) {
    fail(
      `${source}: an interlaced PNG of ${depth} bits per sample cannot be read`,
      "save it without interlacing, or with 8 bits",
    );
  }
  const channels = colour === 0 || colour === 4 ? 1 : 3;
  return { width, height, channels, depth, colour, interlaced };
}

/** Throws, naming `source`, where the file is cut off or damaged. `header` is `pngHeader` of the same bytes. */
export function decodePng(bytes: Uint8Array, header: PngHeader, source: string): Raster {
  const { width, height, depth, colour } = header;
  const { kept, packed, transparency } = chunksOf(bytes, source);
  const expected = unpackedBytes(header);
  const damaged = (error: unknown): never => {
    const reason = error instanceof Error ? error.message.replace(/:$/, "") : String(error);
    return fail(`${source}: the PNG is damaged (${reason})`);
  };
  let present = 0;
  try {
    present = countUnpacked(packed, expected);
  } catch (error) {
    damaged(error);
  }
  if (present !== expected) {
    const found = present > expected ? `more than the` : `${present} of the`;
    fail(`${source}: the PNG is damaged: it holds ${found} ${expected} bytes that ${width} × ${height} pixels take`);
  }
  let decoded: ReturnType<typeof decode>;
  try {
    decoded = decode(kept, { checkCrc: true });
  } catch (error) {
    return damaged(error);
  }
  const samples = colours[colour]!.samples;
  const data = depth < 8 ? unpackBits(decoded.data, width, height, depth) : (decoded.data as Uint8Array | Uint16Array);
  if (colour === palette) return coloured(data, header, decoded.palette, transparency, source);
  const most = 2 ** depth - 1;
  const raster: Raster = { width, height, channels: samples, data, most };
  return transparency && (colour === 0 || colour === 2) ? keyed(raster, transparency) : raster;
}

const nameAt = (bytes: Uint8Array, at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));

/** The file without what fast-png does not need, its packed pixels, and the bytes of tRNS. */
function chunksOf(bytes: Uint8Array, source: string) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts = [bytes.subarray(0, 33)];
  const packed: Uint8Array[] = [];
  let transparency: Uint8Array | undefined;
  for (let at = 33; ; ) {
    const length = at + 12 <= bytes.length ? view.getUint32(at) : Number.POSITIVE_INFINITY;
    const end = at + 12 + length;
    if (end > bytes.length) fail(`${source}: the PNG is cut off: it ends after ${bytes.length} bytes, within a chunk`);
    const name = nameAt(bytes, at + 4);
    const content = bytes.subarray(at + 8, end - 4);
    if (name === "IDAT") packed.push(content);
    if (name === "tRNS") transparency = content;
    if (name === "IDAT" || name === "PLTE" || name === "IEND") parts.push(bytes.subarray(at, end));
    else if (/^[A-Z]/.test(name)) fail(`${source}: the PNG is damaged: there is no chunk ${JSON.stringify(name)}`);
    if (name === "IEND") break;
    at = end;
  }
  const kept = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let to = 0;
  for (const part of parts) {
    kept.set(part, to);
    to += part.length;
  }
  return { kept, packed, transparency };
}

/** Adam7: where each pass begins, and its steps, across and down. */
const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Bytes of the rows, each with the byte that names its filter. */
function unpackedBytes({ width, height, depth, colour, interlaced }: PngHeader): number {
  const rows = (w: number, h: number) => (w ? h * (1 + Math.ceil((w * depth * colours[colour]!.samples) / 8)) : 0);
  if (!interlaced) return rows(width, height);
  const part = (n: number, from: number, step: number) => Math.max(0, Math.ceil((n - from) / step));
  return passes.reduce((n, [x, y, across, down]) => n + rows(part(width, x, across), part(height, y, down)), 0);
}

/** Bytes given to the inflater at once. They unpack to at most 1,032 times as many. */
const inflateBytes = 2 ** 12;

/** How long zlib data are unpacked; once it is more than `most`, no more is unpacked. Throws where they are damaged. */
function countUnpacked(packed: readonly Uint8Array[], most: number): number {
  let n = 0;
  const inflater = new Unzlib((chunk) => {
    n += chunk.length;
  });
  for (const part of packed) {
    for (let at = 0; at < part.length && n <= most; at += inflateBytes) {
      inflater.push(part.subarray(at, at + inflateBytes));
    }
  }
  if (n <= most) inflater.push(new Uint8Array(0), true);
  return n;
}

/** Samples of 1, 2 or 4 bits, the first in the highest bits of its byte; each row begins with a byte of its own. */
function unpackBits(data: ArrayLike<number>, width: number, height: number, depth: number): Uint8Array {
  const out = new Uint8Array(width * height);
  const perByte = 8 / depth;
  const rowBytes = Math.ceil(width / perByte);
  for (let y = 0, k = 0; y < height; y++) {
    for (let x = 0; x < width; x++, k++) {
      const byte = data[y * rowBytes + Math.floor(x / perByte)]!;
      out[k] = (byte >> (8 - depth - (x % perByte) * depth)) & (2 ** depth - 1);
    }
  }
  return out;
}

/** Indices into a palette as its colours; tRNS holds the alpha of the first of them. */
function coloured(
  indices: Uint8Array | Uint16Array,
  { width, height }: PngHeader,
  table: readonly (readonly number[])[] | undefined,
  alpha: Uint8Array | undefined,
  source: string,
): Raster {
  if (!table) fail(`${source}: the PNG is damaged: it has no palette, and its pixels are indices into one`);
  const channels = alpha ? 4 : 3;
  const data = new Uint8Array(indices.length * channels);
  for (let k = 0; k < indices.length; k++) {
    const index = indices[k]!;
    const colour = table[index];
    if (!colour) fail(`${source}: the PNG is damaged: a pixel has colour ${index} of ${table.length}`);
    for (let j = 0; j < 3; j++) data[k * channels + j] = colour[j]!;
    if (alpha) data[k * channels + 3] = alpha[index] ?? 255;
  }
  return { width, height, channels, data, most: 255 };
}

/** One colour stands for transparent: tRNS holds its samples as u16. */
function keyed({ width, height, channels, data, most }: Raster, transparency: Uint8Array): Raster {
  const key = Array.from({ length: channels }, (_, j) => transparency[2 * j]! * 256 + transparency[2 * j + 1]!);
  const wider = channels + 1;
  const out = most > 255 ? new Uint16Array(width * height * wider) : new Uint8Array(width * height * wider);
  for (let k = 0; k < width * height; k++) {
    for (let j = 0; j < channels; j++) out[k * wider + j] = data[k * channels + j]!;
    out[k * wider + channels] = key.every((v, j) => v === data[k * channels + j]) ? 0 : most;
  }
  return { width, height, channels: wider as 2 | 4, data: out, most };
}
