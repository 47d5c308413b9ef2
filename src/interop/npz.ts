/** NumPy's .npz: arrays by name, a zip archive of .npy files. */
import { fail, requireBytes } from "../ir/fail.ts";
import type { Value } from "../ir/value.ts";
import type { Tensors } from "../train/safetensors.ts";
import { requireObject, tensorsIn } from "./given.ts";
import { readNpy, writeNpy } from "./npy.ts";
import { makeZip, openZip } from "./zip.ts";

export type NpzOptions = {
  /** Most bytes that the arrays may have once inflated: unless given 64 MiB, and 32 times the file where that is more. */
  readonly limit?: number;
};

/**
 * Arrays by the names that `np.savez` or `np.savez_compressed` gave them, each as `readNpy` reads it.
 *
 * Throws a DownhillError that names `source` and the array where the archive or an array in it is damaged, where it holds
 * anything else, and where it would inflate to more than `limit` bytes.
 */
export function readNpz(file: Uint8Array, source = "npz", options: NpzOptions = {}): Tensors {
  requireBytes("readNpz", file);
  requireObject("readNpz: options", options, 'readNpz(bytes, "arrays.npz", { limit: 2 ** 30 })');
  const { limit } = options;
  const bad = (reason: string, hint?: string): never => fail(`${source}: not a readable .npz file: ${reason}`, hint);
  const tensors = new Map<string, Value>();
  for (const { name, read } of openZip(file, limit ?? Math.max(2 ** 26, 32 * file.length), bad)) {
    if (!name.endsWith(".npy")) bad(`it holds ${JSON.stringify(name.slice(0, 200))}, which is no .npy`);
    if (leadsOut(name)) bad(`${JSON.stringify(name.slice(0, 200))} is a path out of the archive`);
    const array = name.slice(0, -".npy".length);
    tensors.set(array, readNpy(read(), `${source}, array ${JSON.stringify(array.slice(0, 200))}`));
  }
  return tensors;
}

/**
 * Arrays by name, of an object or a Map, as `np.load` reads them; the same arrays give the same bytes. `compress` is the difference between `np.savez`
 * and `np.savez_compressed`. Throws at a name that occurs twice or is a path out of the archive.
 */
export function writeNpz(
  arrays: Iterable<readonly [string, Value]> | Readonly<Record<string, Value>>,
  options: { readonly compress?: boolean } = {},
): Uint8Array<ArrayBuffer> {
  requireObject("writeNpz: options", options, "writeNpz({ x, y }, { compress: true })");
  const { compress = false } = options;
  const members = new Map<string, Uint8Array>();
  for (const [name, v] of tensorsIn("writeNpz", arrays, "writeNpz({ x: value([2], [1, 2]) })")) {
    if (leadsOut(name)) fail(`npz: the name "${name}" is a path out of the archive`);
    members.set(`${name}.npy`, writeNpy(v));
  }
  return makeZip(members, compress ? 6 : 0);
}

/** What must not become a file's name where somebody unpacks the archive. */
const leadsOut = (name: string): boolean => /^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\0/.test(name);
