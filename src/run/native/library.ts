/**
 * The library of kernels that printed programs call: compiled once per machine (one to two seconds of a processor, in
 * parts side by side), then from the cache, and opened with its symbols visible to the programs that are loaded later.
 *
 * To print it takes longer than to compile a small network's step, so in the cache it is known by the code that prints it
 * instead of by its text: that is a tenth as long, and other code is another library.
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { callsKernels, kernelLibrary } from "../../print/c/gemm/library.ts";
import { loadBinding } from "./binding.ts";
import { compileToObject } from "./cache.ts";
import type { Compiler } from "./compiler.ts";

/** The parts of one library that are compiled side by side. */
const PARTS = 4;

/** What a program is compiled with: a comment for its text, so that the cache tells programs of two libraries apart. */
export type Linked = { readonly note: string; readonly link: readonly string[] };

/** There is one library per dtype. */
export type Called = "f32" | "f64";

const opened = new Map<string, string>();

/** The libraries that the C text of a program calls. */
export const calledBy = (texts: readonly string[], { lanes }: Compiler): Called[] =>
  (["f32", "f64"] as const).filter((dtype) => texts.some((text) => callsKernels(text, dtype, lanes)));

/** Opens libraries. Throws what compileToObject throws, and a DownhillError when one cannot be loaded. */
export function openLibraries(
  { lanes, flags, command }: Compiler,
  called: readonly Called[],
  printer = printerOf,
): Linked {
  const sums = called.map((dtype) => {
    const key = JSON.stringify([dtype, lanes, command, flags]);
    const before = opened.get(key);
    if (before) return before;
    const print = () => kernelLibrary(dtype, lanes, PARTS).map((text) => ({ text }));
    const known = printer(import.meta.url);
    const { path } = compileToObject(known ? { name: `kernels ${known} ${dtype} ${lanes} ${PARTS}`, print } : print(), {
      optimize: "-O2",
    });
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

/**
 * A digest of the file that prints the library, as it lies beside the module at `here`: all that it is made of is put in
 * that one (scripts/bundle.mjs). It speaks for what this thread has loaded only where Node itself loads it, as built, and
 * nobody has touched it since the thread began: undefined otherwise. The library is then known by its text.
 */
export function printerOf(here: string): string | undefined {
  if (!here.endsWith(".js")) return undefined;
  try {
    const file = new URL("../../print/c/gemm/library.js", here);
    // First the content, then the time: a change between the two is seen. The time of the inode cannot be set back.
    const text = readFileSync(file);
    if (statSync(file).ctimeMs >= performance.timeOrigin) return undefined;
    return createHash("sha256").update(text).digest("hex");
  } catch {
    return undefined;
  }
}
