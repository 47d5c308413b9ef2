/** Images: Pillow's pixels, every kind that fast-png writes, and what must be refused before it costs anything. */
import { readFileSync } from "node:fs";
import { constants, deflateRawSync } from "node:zlib";
import { encode as encodePng, type ImageData } from "fast-png";
import { zlibSync } from "fflate";
import jpeg from "jpeg-js";
import { describe, expect, test } from "vitest";
import { decodeImage, type ImageOptions, imageHeader, resize } from "../../src/data/images.ts";
import { value } from "../../src/ir/value.ts";

type File = { name: string; channels: 1 | 3; shape: number[]; file: string; pixels: number[] };
type Resized = { x: { shape: number[]; data: number[] }; size: [number, number]; fit: "crop" | "stretch"; y: number[] };
const golden = JSON.parse(readFileSync(new URL("../golden/images.json", import.meta.url), "utf8")) as {
  files: File[];
  refused: Pick<File, "name" | "file">[];
  resized: Resized[];
};
const bytesOf = (base64: string) => Uint8Array.from(Buffer.from(base64, "base64"));
const fileNamed = (name: string) => bytesOf(golden.files.find((file) => file.name === name)!.file);

/** Pillow's RGBA [h, w, 4], or grey of 16 bits [h, w], as [c, h, w] on a background. */
function expected({ channels, shape, pixels }: File, background: number): number[] {
  const [h, w, samples = 1] = shape as [number, number, number?];
  const most = samples === 1 ? 65535 : 255;
  return Array.from({ length: channels * h * w }, (_, k) => {
    const [c, at] = [Math.floor(k / (h * w)), (k % (h * w)) * samples];
    const alpha = samples === 1 ? 1 : pixels[at + 3]! / most;
    return (pixels[at + c]! / most) * alpha + background * (1 - alpha);
  });
}

describe("files that Pillow wrote", () => {
  test.each(golden.files)("$name", (file) => {
    const bytes = bytesOf(file.file);
    for (const background of [1, 0.25]) {
      const x = decodeImage(bytes, { background });
      const [height, width] = file.shape as [number, number];
      expect(x.shape).toEqual([file.channels, height, width]);
      expect(imageHeader(bytes)).toMatchObject({ channels: file.channels, height, width });
      const wanted = expected(file, background);
      const worst = Math.max(...wanted.map((v, k) => Math.abs(v - x.data[k]!)));
      // Decoders of JPEG may round differently, and jpeg-js repeats colours where libjpeg interpolates them.
      const tolerance = file.name.startsWith("PNG") ? 1e-7 : file.name.includes("half") ? 12 / 255 : 3.1 / 255;
      expect(worst).toBeLessThan(tolerance);
    }
  });

  test("read from the middle of a buffer", () => {
    for (const { file } of golden.files.filter((_, k) => k % 5 === 0)) {
      const bytes = bytesOf(file);
      expect(decodeImage(Uint8Array.from([1, 2, 3, ...bytes, 4]).subarray(3, -1))).toEqual(decodeImage(bytes));
    }
  });
});

describe("PNG as fast-png writes it", () => {
  const some = (n: number, most: number) => Array.from({ length: n }, (_, i) => (i * 2654435761) % (most + 1));
  const kinds = [1, 2, 3, 4].flatMap((channels) => [8, 16].map((depth) => ({ channels, depth }) as const));

  test.each(kinds)("$channels channels of $depth bits, interlaced or not", ({ channels, depth }) => {
    const [width, height, most] = [9, 7, 2 ** depth - 1];
    const samples = some(width * height * channels, most);
    const data = depth === 8 ? Uint8Array.from(samples) : Uint16Array.from(samples);
    const image = { width, height, channels, depth, data } as ImageData;
    const colours = channels < 3 ? 1 : 3;
    const wanted = Array.from({ length: colours * 63 }, (_, k) => {
      const at = (k % 63) * channels;
      const alpha = colours === channels ? 1 : samples[at + colours]! / most;
      return (samples[at + Math.floor(k / 63)]! / most) * alpha + 1 - alpha;
    });
    for (const interlace of ["null", "Adam7"] as const) {
      const { shape, data } = decodeImage(encodePng(image, { interlace }));
      expect(shape).toEqual([colours, height, width]);
      wanted.forEach((v, k) => expect(data[k]).toBeCloseTo(v, 6));
    }
  });
});

describe("channels", () => {
  const colour = encodePng({ width: 1, height: 1, channels: 3, data: Uint8Array.of(255, 0, 51) });
  const grey = encodePng({ width: 2, height: 1, channels: 1, data: Uint8Array.of(0, 51) });

  test("colours to grey by BT.601, grey to colours by repeating", () => {
    expect(decodeImage(colour, { channels: 1 }).data[0]).toBeCloseTo(0.299 + 0.114 * 0.2, 6);
    const three = decodeImage(grey, { channels: 3 });
    expect([three.shape, [...three.data]]).toEqual([[3, 1, 2], [0, 0.2, 0, 0.2, 0, 0.2].map(Math.fround)]);
  });

  test("unusable options", () => {
    expect(() => decodeImage(grey, { channels: 2 as 1 })).toThrow("images have 1 or 3 channels, got 2");
    expect(() => decodeImage(grey, { background: 255 })).toThrow("the background must lie in [0, 1], got 255");
  });
});

describe("refused", () => {
  const png = encodePng({ width: 40, height: 30, channels: 1, data: new Uint8Array(1200).map((_, k) => k * 7) });
  const photo = fileNamed("JPEG, baseline");
  const error = (bytes: Uint8Array, options: ImageOptions = {}) =>
    expect(() => decodeImage(bytes, { source: "a.png", ...options }));
  const changed = (bytes: Uint8Array, at: number, ...to: number[]) => {
    const copy = Uint8Array.from(bytes);
    copy.set(to, at);
    return copy;
  };
  const find = (bytes: Uint8Array, ...marker: number[]) =>
    bytes.findIndex((_, k) => marker.every((b, j) => bytes[k + j] === b));

  test.each(golden.refused)("$name", ({ name, file }) => {
    if (name.startsWith("JPEG"))
      error(bytesOf(file)).toThrow(/^a\.png: a JPEG of four colours .*\n {2}hint: convert it to RGB/);
    else
      error(bytesOf(file)).toThrow(
        new RegExp(`^a\\.png: this is an? ${name}, which cannot be read\n.*convert it to PNG`),
      );
  });

  test("what is no image", () => {
    const text = (s: string) => new TextEncoder().encode(s);
    error(new Uint8Array()).toThrow("a.png: the file is empty");
    error(text("hello, I am a note")).toThrow("a.png: this is text, not an image");
    error(text("<svg></svg>")).toThrow("this is an SVG");
    error(Uint8Array.of(0, 1, 2, 3)).toThrow("this is no PNG or JPEG");
    error(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0a, 0x1a)).toThrow("first bytes were changed");
  });

  test("more pixels than allowed, before anything is decoded", () => {
    const bomb = changed(png, 16, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff);
    error(bomb).toThrow(/^a\.png: 2147483647 × 2147483647 pixels are more than the 33554432 .*\n.*maxPixels/);
    error(png, { maxPixels: 1000 }).toThrow("40 × 30 pixels are more than the 1000");
    const sof = find(photo, 0xff, 0xc0);
    error(changed(photo, sof + 5, 0xff, 0xff, 0xff, 0xff)).toThrow("65535 × 65535 pixels are more than");
    error(changed(photo, sof + 5, 0, 0)).toThrow("the JPEG is 13 × 0 pixels");
    error(changed(png, 16, 0, 0, 0, 0)).toThrow("the PNG is 0 × 30 pixels");
  });

  /** A PNG of one pixel whose chunks are given. */
  const chunk = (name: string, content: Uint8Array) => {
    const bytes = new Uint8Array(12 + content.length);
    new DataView(bytes.buffer).setUint32(0, content.length);
    bytes.set(new TextEncoder().encode(name), 4);
    bytes.set(content, 8);
    new DataView(bytes.buffer).setUint32(8 + content.length, crc32(bytes.subarray(4, 8 + content.length)));
    return bytes;
  };
  const pngOf = (header: number[], ...chunks: Uint8Array[]) => {
    const first = chunk("IHDR", Uint8Array.from([0, 0, 0, 1, 0, 0, 0, 1, ...header]));
    return Uint8Array.from(Buffer.concat([png.subarray(0, 8), first, ...chunks, chunk("IEND", new Uint8Array())]));
  };

  test("data that unpack to more than the pixels take are not unpacked", () => {
    // Zeros as blocks that end on a byte may be repeated: 4 GB in 4 MB, more than a decoder could hold.
    const block = deflateRawSync(new Uint8Array(2 ** 24), { finishFlush: constants.Z_SYNC_FLUSH });
    const zeros = Buffer.concat([Uint8Array.of(0x78, 0x9c), ...Array<Uint8Array>(256).fill(block)]);
    error(pngOf([8, 0, 0, 0, 0], chunk("IDAT", zeros))).toThrow(
      "a.png: the PNG is damaged: it holds more than the 2 bytes that 1 × 1 pixels take",
    );
    const profile = chunk("iCCP", Uint8Array.from([97, 0, 0, ...zlibSync(new Uint8Array(2 ** 20))]));
    const fine = pngOf([8, 0, 0, 0, 0], profile, chunk("IDAT", zlibSync(Uint8Array.of(0, 51))));
    expect([...decodeImage(fine).data]).toEqual([Math.fround(0.2)]); // a profile is not looked at
  });

  test("damaged PNG", () => {
    const pixel = chunk("IDAT", zlibSync(Uint8Array.of(0, 3)));
    for (const n of [9, 20, 40, png.length - 13]) error(png.subarray(0, n)).toThrow(/^a\.png: the PNG is cut off/);
    error(changed(png, 50, 1, 2, 3, 4, 5)).toThrow(/^a\.png: the PNG is damaged/);
    error(changed(png, 18, 0, 41)).toThrow(/^a\.png: the PNG is damaged: it holds 1230 of the \d+ bytes/);
    error(changed(png, png.length - 14, 0)).toThrow(/^a\.png: the PNG is damaged \(CRC mismatch/);
    error(changed(png, 24, 3)).toThrow("there is no colour type 0 of 3 bits");
    error(changed(png, 28, 2)).toThrow("no PNG is packed by method 0, 0, 2");
    error(pngOf([4, 0, 0, 0, 1], pixel)).toThrow(/an interlaced PNG of 4 bits .*\n.*without interlacing/);
    error(pngOf([8, 3, 0, 0, 0], pixel)).toThrow("it has no palette");
    error(pngOf([8, 3, 0, 0, 0], chunk("PLTE", Uint8Array.of(1, 2, 3)), pixel)).toThrow("a pixel has colour 3 of 1");
    error(pngOf([8, 0, 0, 0, 0], chunk("ABCD", new Uint8Array()), pixel)).toThrow('no chunk "ABCD"');
    error(changed(png, 12, 67, 103, 66, 73)).toThrow("but with a chunk CgBI");
    error(pngOf([8, 0, 0, 0, 0])).toThrow(/^a\.png: the PNG is damaged/);
  });

  test("damaged and unusual JPEG", () => {
    const sof = find(photo, 0xff, 0xc0);
    for (const n of [3, 30, 200, photo.length - 1]) error(photo.subarray(0, n)).toThrow(/^a\.png: the JPEG is cut off/);
    error(changed(photo, sof + 1, 0xc3)).toThrow("a lossless JPEG cannot be read");
    error(changed(photo, sof + 1, 0xc9)).toThrow("an arithmetic-coded JPEG cannot be read");
    error(changed(photo, sof + 1, 0xc5)).toThrow("a hierarchical JPEG cannot be read");
    error(changed(photo, sof + 4, 12)).toThrow("a JPEG of 12 bits per sample");
    error(changed(photo, find(photo, 0xff, 0xc4) + 1, 0xfe)).toThrow(/^a\.png: the JPEG is damaged \(/);
    error(Uint8Array.of(0xff, 0xd8, 0xff, 0xd9)).toThrow("the JPEG is damaged: it holds no picture");
    const sos = find(photo, 0xff, 0xda);
    const scan = photo.subarray(sos, -2);
    const many = [...photo.subarray(0, sos), ...Array.from({ length: 101 }, () => [...scan]).flat(), 0xff, 0xd9];
    error(Uint8Array.from(many)).toThrow("a JPEG of 101 scans is refused");
    error(Uint8Array.from([...photo.subarray(0, sos), ...photo.subarray(sof, sos), ...photo.subarray(sos)])).toThrow(
      "a JPEG of several frames",
    );
  });

  test("any change of one byte, any cut: an image or a message that names the file", () => {
    const small = encodePng({ width: 5, height: 4, channels: 3, data: new Uint8Array(60).map((_, k) => k * 11) });
    const gray = Uint8Array.from(
      jpeg.encode({ width: 8, height: 8, data: new Uint8Array(256).map((_, k) => k) }, 50).data,
    );
    for (const bytes of [small, gray]) {
      for (let at = 0; at < bytes.length; at++) {
        for (const copy of [bytes.subarray(0, at), changed(bytes, at, bytes[at]! ^ 0x11), changed(bytes, at, 0xff)]) {
          try {
            const { shape } = decodeImage(copy, { source: "x.png", maxPixels: 10_000 });
            expect(shape.length).toBe(3);
          } catch (e) {
            expect((e as Error).name).toBe("DownhillError");
            expect((e as Error).message).toMatch(/^x\.png: /);
          }
        }
      }
    }
  });
});

describe("resize", () => {
  test.each(golden.resized)("$x.shape to $size, $fit", ({ x, size, fit, y }) => {
    const out = resize(value(x.shape, x.data), size, { fit });
    expect(out.shape).toEqual([x.shape[0], ...size]);
    y.forEach((v, k) => expect(Math.abs(out.data[k]! - v)).toBeLessThan(2e-7));
  });

  test("the same size is the same image; sizes and shapes that are none", () => {
    const x = value([1, 2, 3], [1, 2, 3, 4, 5, 6]);
    expect(resize(x, [2, 3])).toBe(x);
    expect(() => resize(x, [0, 3])).toThrow("a size is [height, width], whole and at least 1, got [0,3]");
    expect(() => resize(value([2], [1, 2]), [1, 1])).toThrow("an image is f32[c, h, w], got f32[2]");
  });
});

/** Of a PNG's chunk: bit by bit, as the recommendation's annex D defines it. */
function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return ~c >>> 0;
}
