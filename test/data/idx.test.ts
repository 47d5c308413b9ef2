import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { idxImages, idxLabels, parseIdx } from "../../src/data/idx.ts";
import { damaged, expectRefusedWhenCut, orRefused } from "../hostile.ts";

const be32 = (...x: number[]) => x.flatMap((n) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
const bytes = (...x: number[]) => Uint8Array.from(x);
const images = bytes(...be32(0x00000803, 2, 1, 3), 0, 51, 102, 153, 204, 255);
const labels = bytes(...be32(0x00000801, 3), 9, 0, 5);

describe("IDX", () => {
  test("images and labels", () => {
    const idx = parseIdx(images);
    expect(idx).toMatchObject({ type: "u8", shape: [2, 1, 3], data: bytes(0, 51, 102, 153, 204, 255) });
    expect([...idxImages(idx).data]).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1].map(Math.fround));
    expect([...idxImages(idx, { scale: 1 }).data]).toEqual([0, 51, 102, 153, 204, 255]);
    expect(idxLabels(parseIdx(labels))).toMatchObject({ dtype: "i32", shape: [3], data: Int32Array.of(9, 0, 5) });
  });

  test("every type code, big-endian, also from the middle of a buffer", () => {
    const inside = (b: Uint8Array) => Uint8Array.from([7, ...b]).subarray(1);
    const data = (...b: number[]) => parseIdx(inside(bytes(...b))).data;
    expect(data(...labels)).toEqual(bytes(9, 0, 5));
    expect(data(...be32(0x00000901, 2), 0xff, 0x80)).toEqual(Int8Array.of(-1, -128));
    expect(data(...be32(0x00000b01, 2), 0x01, 0x02, 0xff, 0xfe)).toEqual(Int16Array.of(258, -2));
    expect(data(...be32(0x00000c01, 1), 0xff, 0xff, 0xff, 0xfd)).toEqual(Int32Array.of(-3));
    expect(data(...be32(0x00000d01, 1), 0x3f, 0xc0, 0, 0)).toEqual(Float32Array.of(1.5));
    expect(data(...be32(0x00000e01, 1), 0xc0, 0x04, 0, 0, 0, 0, 0, 0)).toEqual(Float64Array.of(-2.5));
    expect(data(...be32(0x00000802, 0, 4))).toEqual(bytes());
  });

  test("damaged files", () => {
    const error = (b: Uint8Array) => expect(() => parseIdx(b, "a.idx"));
    error(bytes()).toThrow("a.idx: 0 bytes are too few for an IDX header");
    error(images.subarray(0, 10)).toThrow("announces 3 axes, and the file has 10 bytes");
    error(images.subarray(0, 21)).toThrow("u8[2,1,3] takes 6 bytes after the header, the file has 5");
    error(bytes(...images, 1)).toThrow("the file has 7\n  hint: the header is damaged, or something was appended");
    error(bytes(...be32(0x00000803, 0xffffffff, 0xffffffff, 0xffffffff), 1)).toThrow("the file is cut off");
    error(bytes(...be32(0x00000a01, 1), 1)).toThrow("not an IDX file: it starts with 0x00000a01");
    error(bytes(0x61, 0x2c, 0x62, 0x0a)).toThrow("it starts with 0x612c620a");
    error(bytes(...be32(0x00000800))).toThrow("announces 0 axes");
    error(bytes(0x1f, 0x8b, 8, 0)).toThrow("gzip");
  });

  test("labels that are none", () => {
    expect(() => idxLabels(parseIdx(images))).toThrow("labels are one axis, this is u8[2,1,3]");
    expect(() => idxLabels(parseIdx(bytes(...be32(0x00000901, 2), 1, 0xff)))).toThrow("label 1 is -1");
  });

  test("fuzz: cut off at every byte, damaged anywhere, and any sizes", () => {
    for (const file of [images, labels]) expectRefusedWhenCut(parseIdx, file);
    const options = { numRuns: 300, seed: 11 };
    const whole = (bytes: Uint8Array) => {
      const idx = orRefused(parseIdx, bytes);
      if (idx) expect(idx.data.length).toBe(idx.shape.reduce((a, b) => a * b, 1));
    };
    fc.assert(fc.property(damaged(images), whole), options);
    const size = fc.oneof(fc.nat(3), fc.nat(0xffffffff), fc.constantFrom(0, 0x80000000, 0xffffffff));
    const sizes = fc.array(size, { maxLength: 255 });
    const type = fc.constantFrom(0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e, 0x0a, 0xff);
    fc.assert(
      fc.property(type, sizes, fc.uint8Array({ maxLength: 64 }), (code, axes, data) => {
        whole(bytes(...be32((code << 8) | axes.length, ...axes), ...data));
      }),
      options,
    );
  });

  test("more than numbers can say, times nothing", () => {
    const all = Array<number>(254).fill(0xffffffff);
    expect(() => parseIdx(bytes(...be32(0x000008ff, ...all, 0)))).toThrow("u8[4294967295,4294967295");
  });
});
