/**
 * From C text to a shared object on disk, compiled once per machine.
 *
 *   <cache>/objects/<key>/<sum>.so     key: what was asked (text or its name, flags, compiler, CPU); sum: what came out
 *   <cache>/failed/<key>-0.c           the text of a program that did not compile
 *   <cache>/compilers/<key>.json       what a compiler said about itself
 *   <cache>/programs/<key>.json        what a traced program became (programs.ts)
 *
 * An object's name is its own checksum. One rename puts it in place, so there is no moment at which object and checksum
 * disagree, two processes that compile the same thing cannot harm each other, and a file that a crash, a full disk or a
 * fault has damaged is recognised before it is loaded, removed, and built again.
 */
import { createHash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fail } from "../../ir/fail.ts";
import { build, type Compiler, probeCompiler, type Unit, unitName } from "./compiler.ts";
import { cacheFolder, codeOf, existingPrivateFolder, inFolder, workPrefix } from "./folder.ts";

const DAY = 24 * 60 * 60 * 1000; // ms
const KEPT = 60 * DAY; // ms since the last use

export interface CompileOptions {
  /** -O3 for kernels (default); -O2 for text that is already unrolled, such as GEMM tiles. */
  readonly optimize?: Unit["optimize"];
  /** More flags for the link. */
  readonly link?: readonly string[];
}

/** One of several translation units of a program; what it leaves out is taken from the options. */
export interface Source extends Pick<CompileOptions, "optimize"> {
  readonly text: string;
}

/** Sources that take long to print, under a name that says what they are: who finds their object prints nothing. */
export interface Named {
  /** Different wherever the text may be. */
  readonly name: string;
  readonly print: () => readonly Source[];
}

export interface CompiledObject {
  readonly path: string;
  readonly key: string;
  /** True when the compiler did not have to run. */
  readonly cached: boolean;
  readonly milliseconds: number;
}

/**
 * The shared object for a program: from the cache, else compiled now. Several sources are compiled side by side and
 * linked to one object.
 *
 * Throws when there is no compiler, when the text does not compile (the text is kept and named), when the compiler is
 * ended by a signal, and when there is no space left in the cache folder and in the temporary one.
 */
export function compileToObject(
  program: string | readonly Source[] | Named,
  options: CompileOptions = {},
): CompiledObject {
  const start = performance.now();
  const compiler = probeCompiler();
  if (!compiler.found) fail(`native: ${compiler.reason}`, compiler.remedy);
  const { optimize = "-O3", link = [] } = options;
  const unitsOf = (sources: readonly Source[]): Unit[] => {
    if (sources.length === 0) fail("native: a program without C text");
    return sources.map((source) => ({ text: source.text, optimize: source.optimize ?? optimize }));
  };
  const what =
    typeof program === "string" ? unitsOf([{ text: program }]) : "name" in program ? program : unitsOf(program);
  const key = keyOf(compiler, "name" in what ? [what.name, optimize] : what, link);
  const done = (path: string, cached: boolean) => ({ path, key, cached, milliseconds: performance.now() - start });

  const path = storedObject(key);
  if (path) return done(path, true);
  return done(create(compiler, "name" in what ? unitsOf(what.print()) : what, link, key), false);
}

/** The path of what was compiled under that key; undefined where it is no more. */
export function storedObject(key: string): string | undefined {
  for (const folder of [cacheFolder(), existingPrivateFolder()]) {
    const path = folder && find(folder, key);
    if (path) return path;
  }
  return undefined;
}

type What = readonly Unit[] | readonly [name: string, optimize: string];

/** What turns text into objects. -march=native makes them specific to the CPU, and many may share a home directory. */
export const machineOf = ({ flags, words, fullVersion, cpu }: Compiler) =>
  [flags, words, fullVersion, cpu, process.arch, process.platform] as const;

function keyOf(compiler: Compiler, what: What, link: readonly string[]): string {
  const asked = ["object 1", what, link, ...machineOf(compiler)];
  return createHash("sha256").update(JSON.stringify(asked)).digest("hex").slice(0, 40);
}

const sumOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

const entryFolder = (folder: string, key: string): string => join(folder, "objects", key);

/** A sound object under `key`, or undefined. Damaged ones are removed. */
function find(folder: string, key: string): string | undefined {
  const home = entryFolder(folder, key);
  for (const name of list(home)) {
    const path = join(home, name);
    try {
      if (`${sumOf(readFileSync(path))}.so` === name) {
        touch(path);
        return path;
      }
      unlinkSync(path);
    } catch {
      // removed by another process, or a read-only folder: as good as missing
    }
  }
  return undefined;
}

/** Marks a file of the cache as used today. */
export function touch(path: string): void {
  const now = Date.now();
  if (now - statSync(path).mtimeMs < DAY) return;
  try {
    utimesSync(path, new Date(now), new Date(now));
  } catch {
    // a read-only cache is never pruned either
  }
}

function create(compiler: Compiler, units: readonly Unit[], link: readonly string[], key: string): string {
  return inFolder((folder, work) => {
    const built = build(compiler, units, work, key, link);
    if (!built.ok && !built.judged) {
      fail(
        `native: ${compiler.version} was ended before it had compiled a program: ${built.message}`,
        "where memory is short, the system ends what takes most of it: make room, and run this again",
      );
    }
    if (!built.ok) reject(folder, compiler, units, key, built.message);
    const home = entryFolder(folder, key);
    const path = join(home, `${sumOf(readFileSync(built.path))}.so`);
    place(built.path, path, home);
    prune(folder);
    return path;
  });
}

/** Rename into the entry's folder; twice, because a process that prunes may remove that folder while it is empty. */
function place(from: string, to: string, home: string): void {
  for (let attempt = 0; ; attempt++) {
    mkdirSync(home, { recursive: true, mode: 0o700 });
    try {
      renameSync(from, to);
      return;
    } catch (problem) {
      if (codeOf(problem) !== "ENOENT" || attempt > 0) throw problem;
    }
  }
}

/** Throws for text that did not compile, and keeps it for a report. */
function reject(folder: string, compiler: Compiler, units: readonly Unit[], key: string, message: string): never {
  const kept = units.map((unit, i) => {
    const path = join(folder, "failed", unitName(key, i));
    mkdirSync(join(folder, "failed"), { recursive: true, mode: 0o700 });
    writeFileSync(path, unit.text, { mode: 0o600 });
    return path;
  });
  const lines = message
    .split("\n")
    .slice(0, 8)
    .map((line) => `  ${line}`);
  fail(
    [
      `native: ${compiler.version} could not compile the C text of a program, kept in ${kept.join(", ")}`,
      ...lines,
    ].join("\n"),
    "the text is printed by Downhill: please report this, with that file",
  );
}

/** Removes what was not used for 60 days, at most once a day. What a process has loaded outlives its file. */
function prune(folder: string): void {
  const stamp = join(folder, "pruned");
  const now = Date.now();
  if (now - age(stamp, 0) < DAY) return;
  try {
    writeFileSync(stamp, "");
    for (const key of list(join(folder, "objects"))) {
      const home = entryFolder(folder, key);
      for (const name of list(home)) removeOlder(join(home, name), now - KEPT);
      if (list(home).length === 0) rmdirSync(home);
    }
    for (const kind of ["failed", "compilers", "programs"]) {
      for (const name of list(join(folder, kind))) removeOlder(join(folder, kind, name), now - KEPT);
    }
    for (const name of list(folder)) if (name.startsWith(workPrefix)) removeOlder(join(folder, name), now - DAY);
  } catch {
    // another process prunes at the same time, or it is not ours to remove
  }
}

/** Time of the last change, in ms; `missing` where there is nothing. */
function age(path: string, missing: number): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? missing;
}

function removeOlder(path: string, than: number): void {
  if (age(path, Infinity) < than) rmSync(path, { recursive: true, force: true });
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

export interface CacheReport {
  readonly folder: string;
  /** Compiled: programs, and the libraries that they call. */
  readonly objects: number;
  /** Traced before, and called without being made again (programs.ts). */
  readonly programs: number;
  /** Of all of these. */
  readonly bytes: number;
}

/** What the cache holds, and its size. */
export function cacheReport(): CacheReport {
  const folder = cacheFolder();
  const objects = list(join(folder, "objects")).flatMap((key) => {
    const home = entryFolder(folder, key);
    return list(home).map((name) => join(home, name));
  });
  const programs = list(join(folder, "programs")).map((name) => join(folder, "programs", name));
  const bytes = [...objects, ...programs].reduce(
    (sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
  return { folder, objects: objects.length, programs: programs.length, bytes };
}
