/**
 * What programs became, on disk, by the names of their traces (compile/identity.ts):
 *
 *   <cache>/programs/<key>.json     a digest of what follows, then what it takes to call the object: its key, sizes, checks
 *
 * The key is made of all that decides what is compiled: the name, the modules of this library, the C compiler, the CPU. An
 * entry comes to its place by one rename. One that is damaged, or lies under another's key, is recognised when it is read
 * and removed; the same holds for the object it names (cache.ts).
 */
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Outline } from "../../compile/identity.ts";
import type { Bf16 } from "../../print/c/bf16.ts";
import { machineOf, touch } from "./cache.ts";
import type { Compiler } from "./compiler.ts";
import type { Signature } from "./executable.ts";
import { keepText, trustedFolder } from "./folder.ts";
import type { Called } from "./library.ts";
import { modulesOf } from "./modules.ts";

/** A program that was compiled. */
export type Compiled = {
  readonly signature: Signature;
  /** Its object's key in the cache. */
  readonly object: string;
  /** The libraries that it calls, and what it was told of them. */
  readonly called: readonly Called[];
  readonly note: string;
  /** What multiplies its bfloat16. */
  readonly unit: Bf16;
};
export type Entry = Compiled & { readonly outline: Outline };

let running: { readonly modules: string | undefined } | undefined;

/** Undefined where nobody can say which code is running (modules.ts). */
export function programKey(name: string, compiler: Compiler): string | undefined {
  running ??= { modules: modulesOf(import.meta.url) };
  const { modules } = running;
  if (modules === undefined) return undefined;
  return digest(JSON.stringify(["program 1", modules, machineOf(compiler), compiler.lanes, name])).slice(0, 40);
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
const written = (body: string): string => `${digest(body)}\n${body}`;
const fileOf = (folder: string, key: string): string => join(folder, "programs", `${key}.json`);

/** A sound entry under `key`, or undefined. */
export function storedProgram(key: string): Entry | undefined {
  const folder = trustedFolder();
  if (folder === undefined) return undefined;
  const file = fileOf(folder, key);
  try {
    const text = readFileSync(file, "utf8");
    const body = text.slice(text.indexOf("\n") + 1);
    const { of, entry }: { of?: string; entry?: Entry } = text === written(body) ? JSON.parse(body) : {};
    if (of === key && entry) {
      touch(file);
      return entry;
    }
    rmSync(file);
  } catch {
    // there is none, or another process has removed it
  }
  return undefined;
}

/** Where it cannot be kept, the next process compiles. */
export function keepProgram(key: string, entry: Entry): void {
  const folder = trustedFolder();
  if (folder !== undefined) keepText(fileOf(folder, key), written(JSON.stringify({ of: key, entry })));
}
