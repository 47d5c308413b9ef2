/**
 * The library of kernels that printed programs call: compiled once per machine (one to two seconds of a processor, in
 * parts side by side), then from the cache, and opened with its symbols visible to the programs that are loaded later.
 */
import { callsKernels, kernelLibrary } from "../../print/c/gemm/library.ts";
import { loadBinding } from "./binding.ts";
import { compileToObject } from "./cache.ts";
import type { Compiler } from "./compiler.ts";

/** The parts of one library that are compiled side by side. */
const PARTS = 4;

/** What a program is compiled with: a comment for its text, so that the cache tells programs of two libraries apart. */
export type Linked = { readonly note: string; readonly link: readonly string[] };

const opened = new Map<string, string>();

/**
 * Opens the libraries that the C text of a program calls, one per dtype.
 *
 * Throws what compileToObject throws, and a DownhillError when a library cannot be loaded.
 */
export function openLibraries({ lanes, flags, command }: Compiler, texts: readonly string[]): Linked {
  const sums = (["f32", "f64"] as const)
    .filter((dtype) => texts.some((text) => callsKernels(text, dtype, lanes)))
    .map((dtype) => {
      const key = JSON.stringify([dtype, lanes, command, flags]);
      const known = opened.get(key);
      if (known) return known;
      const parts = kernelLibrary(dtype, lanes, PARTS).map((text) => ({ text }));
      const { path } = compileToObject(parts, { optimize: "-O2" });
      loadBinding().open(path, true);
      const sum = path.slice(path.lastIndexOf("/") + 1);
      opened.set(key, sum);
      return sum;
    });
  return {
    note: sums.map((sum) => `/* kernels: ${sum} */\n`).join(""),
    // Mach-O has to be told that symbols are found when the object is loaded.
    link: sums.length > 0 && process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : [],
  };
}
