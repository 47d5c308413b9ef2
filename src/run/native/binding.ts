/**
 * The binding, loaded: what TypeScript can do with native code and memory. Compiled once per machine by the same
 * compiler as the programs (about 0.15 s, then from the cache), loaded once per thread.
 */
import { constants } from "node:buffer";
import { isMainThread } from "node:worker_threads";
import { DownhillError, fail } from "../../ir/fail.ts";
import { compileToObject } from "./cache.ts";
import { codeOf } from "./folder.ts";
import { GLUE } from "./glue.ts";

/** Addresses, handles and sizes are plain numbers. A wrong argument throws; a fault in called code ends the process. */
export interface Binding {
  /** Load a shared object, for good. `global` makes its symbols visible to objects opened later. */
  open(path: string, global?: boolean): number;
  /** The address of a function or variable of an opened object. */
  sym(handle: number, name: string): number;
  /** A zeroed block of `bytes`: page aligned, from 2 MiB on aligned to and asked for as huge pages. */
  alloc(bytes: number): number;
  /** Give a block back. Every view of it must be detached before: NativeBlock does both. */
  free(address: number): void;
  /** `bytes` from `address` on, inside one block, as a buffer that shares the memory. At most `maxView` bytes. */
  view(address: number, bytes: number): ArrayBuffer;
  /** Copies the bytes of a typed array to `address` and on, inside one block. */
  write(address: number, array: NodeJS.TypedArray): void;
  /** Bytes of the pages, from `address` on, that have been touched: the others take no memory yet. */
  resident(address: number, bytes: number): number;
  /** Cut a view off its memory: its length becomes 0. */
  detach(view: ArrayBuffer): void;
  /** The address of a typed array's first element: valid until the array is dropped, 16-byte aligned at best. */
  addr(array: NodeJS.TypedArray): number;
  /** How many numbers at the front of `array` are indices below n; none where its kind is no dtype's. */
  indices(array: NodeJS.TypedArray, n: number): number;
  /** `f(x, y, z)` on this thread: about 30 ns. */
  call(f: number, x: number, y: number, z: number): void;
  /** `f(x, y, z)` on another thread, one call at a time. Its memory must stay until it is over: NativeBlock.during. */
  callAsync(f: number, x: number, y: number, z: number): Promise<void>;
}

/** The largest view in bytes. Node 20 ends the process on a larger one instead of throwing. */
export const maxView: number = constants.MAX_LENGTH;

/** What the C text exports: as Binding, before the parts that are easier in TypeScript. */
interface Glue extends Omit<Binding, "open"> {
  open(path: string, global: number): number;
  freeAtExit(): void;
}

let loaded: Binding | undefined;

/** Throws a DownhillError when there is no compiler, or when what it built cannot be loaded. */
export function loadBinding(): Binding {
  loaded ??= wrap(loadGlue());
  return loaded;
}

function loadGlue(): Glue {
  // Node's own symbols are found when the object is loaded, which Mach-O has to be told.
  const link = process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : [];
  const { path } = compileToObject(GLUE, { optimize: "-O2", link });
  const addon: { exports: Partial<Glue> } = { exports: {} };
  try {
    process.dlopen(addon, path);
  } catch (problem) {
    fail(
      `native: the compiled binding cannot be loaded: ${problem instanceof Error ? problem.message : String(problem)}`,
      "if its folder is mounted noexec, set DOWNHILL_CACHE to another folder of yours",
    );
  }
  return addon.exports as Glue;
}

function wrap(glue: Glue): Binding {
  // A worker's memory goes with the worker. The main thread's goes with the process, which may be calling to the end.
  if (!isMainThread) glue.freeAtExit();
  const handles = new Set<number>(); // dlsym follows whatever it is given
  let last: Promise<unknown> = Promise.resolve();
  return {
    ...glue,
    open(path, global = false) {
      const handle = glue.open(path, global ? 1 : 0);
      handles.add(handle);
      return handle;
    },
    sym(handle, name) {
      if (!handles.has(handle)) throw new DownhillError(`native: ${handle} is not the handle of an opened object`);
      return glue.sym(handle, name);
    },
    alloc(bytes) {
      try {
        return glue.alloc(bytes);
      } catch (problem) {
        if (codeOf(problem) !== "DOWNHILL_MEMORY") throw problem;
        fail(`native: out of memory: the system refused ${(bytes / 2 ** 20).toFixed(1)} MiB`);
      }
    },
    view(address, bytes) {
      if (bytes > maxView)
        fail(`native: a view of ${bytes} bytes is larger than one ArrayBuffer may be (${maxView} bytes)`);
      return glue.view(address, bytes);
    },
    // Queued here and not in C, where a waiting call would occupy one of the few threads that Node reads files with.
    callAsync(f, x, y, z) {
      const call = last.then(() => glue.callAsync(f, x, y, z));
      last = call.catch(() => {});
      return call;
    },
  };
}
