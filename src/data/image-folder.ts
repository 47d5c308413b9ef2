/**
 * A folder of images sorted into folders, one per class, as torchvision's ImageFolder reads it. Node only.
 *
 *   photos/cat/1.png  photos/cat/garden/7.jpg  photos/dog/1.jpeg
 *
 *   const { x, y, classes } = readImageFolder("photos", { size: 32 });    // classes: ["cat", "dog"]
 *
 * Headers are read first, all of them: sizes that differ and memory that is not there are said before the first image is
 * decoded.
 */
import { type Dirent, readdirSync, statSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { fail, shown } from "../ir/fail.ts";
import { Value } from "../ir/value.ts";
import { readBytes } from "./files.ts";
import { requireOptions, requireText } from "./given.ts";
import { decodeImage, type Fit, type ImageHeader, type ImageOptions, imageHeader, resize } from "./images.ts";

export type ReadImagesOptions = Omit<ImageOptions, "source"> & {
  /** Height and width that all images get, one number for a square; without it they must agree already. */
  readonly size?: number | readonly [height: number, width: number];
  /** How an image of other proportions comes to `size`; "crop" unless given. See `resize`. */
  readonly fit?: Fit;
};

export type ClassFiles = {
  /** i32[n], places in `classes`. */
  readonly y: Value<"i32">;
  /** Names of the class folders, sorted by their code units. */
  readonly classes: readonly string[];
  /** Paths of the images: class by class, sorted. */
  readonly files: readonly string[];
};

export type ImageFolder = ClassFiles & {
  /** f32[n, c, h, w] in [0, 1], in the order of `files`. */
  readonly x: Value<"f32">;
};

/**
 * Read all images below the class folders of `path`. Names that begin with a dot, and files whose names do not end as
 * those of images do (.png, .jpg, .jpeg …), are left out; what a file is, its content says.
 *
 * Colour unless all images are grey, or `channels` is given (torchvision's loader: always colour). Throws where there is
 * no class folder or a class without images, where sizes differ and no `size` is given, and what `decodeImage` and
 * `resize` throw, naming the file.
 */
export function readImageFolder(path: string, options: ReadImagesOptions = {}): ImageFolder {
  requireText("readImageFolder: path", path, folderCall);
  requireOptions("readImageFolder", options, folderCall);
  const found = classFiles(path);
  return { x: readImages(found.files, options), ...found };
}

/** What `readImageFolder` would read. Throws what it says about folders. */
export function classFiles(path: string): ClassFiles {
  requireText("classFiles: path", path, 'classFiles("photos")');
  const classes = classFolders(path);
  const found = classes.map((name) => imageFiles(join(path, name)));
  const empty = found.findIndex((files) => files.length === 0);
  if (empty >= 0) {
    fail(
      `${join(path, classes[empty]!)}: no image in this folder, which stands for a class`,
      "put PNG or JPEG files there, or remove the folder",
    );
  }
  const files = found.flat();
  const y = Int32Array.from(found.flatMap((ofClass, k) => ofClass.map(() => k)));
  return { y: new Value("i32", [files.length], y), classes, files };
}

/**
 * Read images as one batch.  → f32[n, c, h, w], in the order of `files`
 *
 * Throws where `files` is empty, and what `readImageFolder` throws about images.
 */
export function readImages(files: readonly string[], options: ReadImagesOptions = {}): Value<"f32"> {
  requireFiles("readImages", files);
  requireOptions("readImages", options, 'readImages(["1.png", "2.png"], { size: 32 })');
  if (files.length === 0) fail("readImages: no file was given");
  const headers = imageHeaders(files, options);
  const [height, width] = sizeOf(files, headers, options.size);
  const channels = options.channels ?? (headers.every((header) => header.channels === 1) ? 1 : 3);
  const shape = [files.length, channels, height, width];
  const data = room(shape);
  for (const [k, source] of files.entries()) {
    const image = decodeImage(readBytes(source), { ...options, source, channels });
    const resized = resize(image, [height, width], { fit: options.fit ?? "crop" });
    data.set(resized.data, k * resized.data.length);
  }
  return new Value("f32", shape, data);
}

/** Size and channels of each file, without decoding it. Throws what `imageHeader` throws. */
export const imageHeaders = (
  files: readonly string[],
  options: Pick<ReadImagesOptions, "maxPixels"> = {},
): ImageHeader[] => {
  requireFiles("imageHeaders", files);
  requireOptions("imageHeaders", options, 'imageHeaders(["1.png"], { maxPixels: 2 ** 20 })');
  const { maxPixels } = options;
  return files.map((source) =>
    imageHeader(readBytes(source), { source, ...(maxPixels !== undefined && { maxPixels }) }),
  );
};

const folderCall = 'readImageFolder("photos", { size: 32 }), where photos has a folder for each class';

function requireFiles(what: string, files: unknown): void {
  if (Array.isArray(files) && files.every((file) => typeof file === "string")) return;
  fail(`${what}: expected a list of paths, got ${shown(files)}`, `${what}(["1.png", "2.png"])`);
}

function classFolders(path: string): string[] {
  const entries = list(path);
  const folders = entries.filter((entry) => isFolder(join(path, entry.name))).map(({ name }) => name);
  if (folders.length > 0) return folders;
  const images = entries.filter(({ name }) => isImage(name)).length;
  return fail(
    `${path}: no class folders in it${images ? `, but ${images === 1 ? "1 image" : `${images} images`}` : ""}`,
    `each class has a folder of its own: ${join(path, "cat", "1.png")}, ${join(path, "dog", "1.png")}`,
  );
}

/** The image files below a folder, at any depth, sorted by path. Throws where the folder cannot be read. */
export const imageFiles = (folder: string): string[] => {
  requireText("imageFiles: folder", folder, 'imageFiles("photos")');
  return list(folder)
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? imageFiles(path) : isImage(entry.name) && !isFolder(path) ? [path] : [];
    })
    .sort();
};

/** What is not hidden, sorted by name. */
function list(folder: string): Dirent[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith("."));
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") fail(`${folder}: no such folder`);
    if (code === "ENOTDIR") fail(`${folder}: this is a file, not a folder`);
    if (code === "EACCES" || code === "EPERM") fail(`${folder}: no permission to read this folder`);
    throw error;
  }
}

/** Links are followed; one that leads nowhere is no folder, and is named where it is read. */
const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** Also the names of formats that cannot be read, so that no part of a data set is passed over in silence. */
const isImage = (name: string): boolean => /[.](png|jpe?g|jfif|gif|webp|bmp|tiff?|avif|hei[cf]|jp2|jxl)$/i.test(name);

function sizeOf(
  files: readonly string[],
  headers: readonly ImageHeader[],
  size: ReadImagesOptions["size"],
): readonly [number, number] {
  if (size !== undefined) {
    const both = typeof size === "number" ? ([size, size] as const) : size;
    if (Array.isArray(both) && both.length === 2 && both.every((n) => Number.isSafeInteger(n) && n >= 1)) return both;
    fail(`the size of images must be whole and at least 1, got ${shown(size)}`);
  }
  const { height, width } = headers[0]!;
  const other = headers.findIndex((header) => header.height !== height || header.width !== width);
  if (other < 0) return [height, width];
  const title = (k: number) => `${files[k]} has ${headers[k]!.height} × ${headers[k]!.width} pixels`;
  return fail(
    `the images differ in size: ${title(0)}, ${title(other)} (height × width)`,
    "give a size, such as { size: 64 }, that all of them are brought to",
  );
}

function room(shape: readonly number[]): Float32Array<ArrayBuffer> {
  const n = shape.reduce((a, b) => a * b, 1);
  const gb = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GB`;
  if (4 * n < totalmem()) {
    try {
      return new Float32Array(n);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return fail(
    `f32[${shape}] takes ${gb(4 * n)}, more than there is (this machine has ${gb(totalmem())} of memory)`,
    "give a smaller size, one channel, or fewer images",
  );
}
