import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { encode } from "fast-png";
import jpeg from "jpeg-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readImageFolder, readImages } from "../../src/data/image-folder.ts";
import { decodeImage, resize } from "../../src/data/images.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "downhill-images-"));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A grey (or, of three levels, coloured) PNG of one value. */
const png = (level: number | readonly number[], [h, w] = [2, 3]) => {
  const levels = [level].flat();
  const data = Uint8Array.from({ length: h! * w! * levels.length }, (_, k) => levels[k % levels.length]!);
  return encode({ width: w!, height: h!, channels: levels.length, data });
};
const photo = (level: number, [h, w] = [2, 3]) => {
  const data = new Uint8Array(h! * w! * 4).fill(level);
  return jpeg.encode({ width: w!, height: h!, data }, 100).data;
};

/** A folder of files by their paths. */
function folder(name: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name, path)), { recursive: true });
    writeFileSync(join(root, name, path), content);
  }
  return join(root, name);
}
const below = (path: string, files: readonly string[]) => files.map((file) => file.slice(path.length + 1));

describe("a folder of class folders", () => {
  test("classes and files by name, labels by class, hidden and other files left out", () => {
    const path = folder("sorted", {
      "dog/b.PNG": png(51),
      "dog/a.png": png(102),
      "dog/old/z.png": png(153),
      "dog/.hidden.png": "no image",
      "dog/notes.txt": "no image",
      "Zebra/1.png": png(0),
      "cat/2.jpeg.png": png(255), // a JPEG by name or not: the content decides
      "cat/10.png": png(204),
      ".git/x.png": "no image",
      "readme.md": "no image",
    });
    const { x, y, classes, files } = readImageFolder(path);
    expect(classes).toEqual(["Zebra", "cat", "dog"]);
    expect(below(path, files)).toEqual([
      "Zebra/1.png",
      "cat/10.png",
      "cat/2.jpeg.png",
      "dog/a.png",
      "dog/b.PNG",
      "dog/old/z.png",
    ]);
    expect(y).toMatchObject({ dtype: "i32", shape: [6], data: Int32Array.of(0, 1, 1, 2, 2, 2) });
    expect(x.shape).toEqual([6, 1, 2, 3]);
    expect([...x.data]).toEqual([0, 0.8, 1, 0.4, 0.2, 0.6].flatMap((v) => Array<number>(6).fill(Math.fround(v))));
  });

  test("links are followed, format is told by content", () => {
    const path = folder("linked", { "a/1.png": photo(100), "elsewhere/2.jpg": png([10, 20, 30]) });
    symlinkSync(join(path, "elsewhere"), join(path, "b"));
    symlinkSync(join(path, "a/1.png"), join(path, "a/2.png"));
    const { x, classes } = readImageFolder(path);
    expect(classes).toEqual(["a", "b", "elsewhere"]);
    expect(x.shape).toEqual([4, 3, 2, 3]);
  });

  test("channels: colour as soon as one image is in colour, or as asked", () => {
    const path = folder("mixed", { "a/1.png": png(51), "b/1.png": png([255, 0, 0]) });
    const { x } = readImageFolder(path);
    expect(x.shape).toEqual([2, 3, 2, 3]);
    expect([...x.data.subarray(0, 18)]).toEqual(Array(18).fill(Math.fround(0.2)));
    const grey = readImageFolder(path, { channels: 1 }).x;
    expect([grey.shape, grey.data[6]]).toEqual([[2, 1, 2, 3], Math.fround(0.299)]);
  });

  test("sizes that differ come to one size, each as resize makes it", () => {
    const gradient = encode({ width: 6, height: 4, channels: 1, data: new Uint8Array(24).map((_, k) => 10 * k) });
    const path = folder("sizes", { "a/1.png": gradient, "a/2.png": png(51, [5, 5]) });
    const cropped = readImageFolder(path, { size: 3 }).x;
    expect(cropped.shape).toEqual([2, 1, 3, 3]);
    expect(cropped.data.subarray(0, 9)).toEqual(resize(decodeImage(gradient), [3, 3]).data);
    const stretched = readImages([join(path, "a/1.png")], { size: [2, 3], fit: "stretch" });
    expect(stretched.data).toEqual(resize(decodeImage(gradient), [2, 3], { fit: "stretch" }).data);
    expect(() => readImageFolder(path)).toThrow(
      /^the images differ in size: .*1\.png has 4 × 6 pixels, .*2\.png has 5 × 5 pixels .*\n {2}hint: give a size/,
    );
    expect(() => readImageFolder(path, { size: 2.5 })).toThrow("must be whole and at least 1, got 2.5");
  });
});

describe("errors name the file or folder", () => {
  test("folders", () => {
    expect(() => readImageFolder(join(root, "none"))).toThrow(/none: no such folder/);
    expect(() => readImageFolder(folder("flat", { "1.png": png(1), "2.png": png(1) }))).toThrow(
      /flat: no class folders in it, but 2 images\n {2}hint: each class has a folder of its own: .*flat\/cat\/1\.png/,
    );
    expect(() => readImageFolder(join(root, "flat/1.png"))).toThrow(/1\.png: this is a file, not a folder/);
    expect(() => readImageFolder(folder("gap", { "a/1.png": png(1), "b/readme.txt": "" }))).toThrow(
      /gap\/b: no image in this folder, which stands for a class/,
    );
    expect(() => readImages([])).toThrow("no file was given");
  });

  test("files", () => {
    const one = (name: string, content: string | Uint8Array) =>
      folder(name, { "a/1.png": png(1), [`a/${name}`]: content, "b/1.png": png(1) });
    expect(() => readImageFolder(one("text.png", "hello"))).toThrow(/a\/text\.png: this is text/);
    expect(() => readImageFolder(one("empty.png", ""))).toThrow(/a\/empty\.png: the file is empty/);
    expect(() => readImageFolder(one("cut.png", png(1).subarray(0, 50)))).toThrow(/a\/cut\.png: the PNG is cut off/);
    expect(() => readImageFolder(one("moving.gif", "GIF89a"))).toThrow(/moving\.gif: this is a GIF.*\n.*convert it/);
    expect(() => readImageFolder(one("large.png", png(1)), { maxPixels: 5 })).toThrow("more than the 5");
    const path = one("fine.png", png(1));
    symlinkSync(join(path, "nowhere"), join(path, "a/link.png"));
    expect(() => readImageFolder(path)).toThrow(/a\/link\.png: no such file/);
  });

  test("more than the machine's memory is refused before anything is decoded", () => {
    const path = folder("huge", { "a/1.png": png(1) });
    expect(() => readImageFolder(path, { size: 2 ** 24 })).toThrow(
      /^f32\[1,1,16777216,16777216\] takes 1048576\.0 GB, more than there is .*\n {2}hint: give a smaller size/,
    );
  });
});
