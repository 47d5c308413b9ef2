/**
 * The folder on disk where compiled programs are kept, and what makes it safe to load code from it.
 *
 * Code is loaded from here into the process, so nobody else may be able to write here: the folder is made with mode
 * 0700, and one that belongs to somebody else, or that others can write to, is not used. Where there is no usable folder
 * (a read-only home, a full disk) a private temporary one serves this process alone, with one warning.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fail } from "../../ir/fail.ts";

/** Where the user wants the cache: $DOWNHILL_CACHE, else `downhill` in the user's cache directory. */
function wanted(): string {
  const { DOWNHILL_CACHE: ours, XDG_CACHE_HOME: xdg } = process.env;
  if (ours) return resolve(ours);
  if (xdg && isAbsolute(xdg)) return join(xdg, "downhill"); // the XDG specification ignores relative ones
  return join(homedir(), ...(process.platform === "darwin" ? ["Library", "Caches"] : [".cache"]), "downhill");
}

/**
 * Makes a folder and those above it. Not by Node's recursive mkdir: it calls a read-only disk "no such file or directory",
 * and never returns from a file system in which nobody can make folders, such as /proc.
 */
function make(path: string, above = true): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (problem) {
    if (codeOf(problem) === "EEXIST") return; // another process may have made it by now
    if (codeOf(problem) !== "ENOENT" || !above || dirname(path) === path) throw problem;
    make(dirname(path));
    make(path, false);
  }
}

/** Why code must not be loaded from `path`, or undefined where it may be. */
function danger(path: string): string | undefined {
  const entry = statSync(path); // follows a link: the user may have moved the cache to another disk
  if (!entry.isDirectory()) return "it is not a folder";
  const { uid, mode } = entry;
  const user = process.getuid?.();
  if (user !== undefined && uid !== user) return `it belongs to user ${uid}, not to you (${user})`;
  if (mode & 0o022) return `others can write to it (mode ${(mode & 0o777).toString(8)})`;
  return undefined;
}

/**
 * The cache folder, made when missing (mode 0700); a private temporary one where the wanted one cannot be trusted.
 * Looked at each time, which takes microseconds: the user may delete the cache while we run.
 */
export function cacheFolder(): string {
  const path = wanted();
  try {
    make(path);
    const reason = danger(path);
    return reason === undefined ? path : privateFolder(path, reason);
  } catch (problem) {
    return privateFolder(path, reasonOf(problem));
  }
}

/** The cache folder where it can be trusted, and nothing said where it cannot: for what is only a saving of time. */
export function trustedFolder(): string | undefined {
  const path = wanted();
  try {
    make(path);
    return danger(path) === undefined ? path : undefined;
  } catch {
    return undefined;
  }
}

/** Puts text into a file of the cache, by one rename. Only a saving of time: where that cannot be, nothing is said. */
export function keepText(file: string, text: string): void {
  const draft = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    try {
      writeFileSync(draft, text, { mode: 0o600 });
      renameSync(draft, file);
    } finally {
      rmSync(draft, { force: true }); // there is one where the other two failed
    }
  } catch {
    // a full disk, a read-only one, or something else in its place
  }
}

let temporary: string | undefined;

/** The private folder of this process, if there is one. */
export const existingPrivateFolder = (): string | undefined => temporary;

/** A folder for this process alone, removed when it ends. Warns once, saying why `instead` is not used. */
function privateFolder(instead: string, reason: string): string {
  if (temporary !== undefined) return temporary;
  let path: string;
  try {
    path = mkdtempSync(join(tmpdir(), "downhill-")); // mode 0700
  } catch (problem) {
    fail(
      `native: compiled programs can be kept neither in ${instead} (${reason}) ` +
        `nor in ${tmpdir()} (${reasonOf(problem)})`,
      "set DOWNHILL_CACHE to a folder of yours with free space",
    );
  }
  process.once("exit", () => rmSync(path, { recursive: true, force: true }));
  process.emitWarning(
    `compiled programs cannot be kept in ${instead}: ${reason}. This process compiles into a temporary folder; ` +
      "set DOWNHILL_CACHE to a folder of yours to keep them.",
    "DownhillWarning",
  );
  temporary = path;
  return path;
}

/**
 * What `body` gives in the cache folder or, where that turns out to be full or read-only, in the private one. For each it
 * gets the folder and a fresh one inside it to work in, which is removed afterwards: results are renamed out of it.
 * Throws a DownhillError when both are full or read-only.
 */
export function inFolder<T>(body: (folder: string, work: string) => T): T {
  const folder = cacheFolder();
  try {
    return working(folder, body);
  } catch (problem) {
    if (!unwritable(problem)) throw problem;
    const elsewhere = privateFolder(folder, reasonOf(problem));
    try {
      return working(elsewhere, body);
    } catch (second) {
      if (!unwritable(second)) throw second;
      fail(
        `native: a program can be compiled neither in ${folder} (${reasonOf(problem)}) ` +
          `nor in ${elsewhere} (${reasonOf(second)})`,
        "set DOWNHILL_CACHE to a folder of yours with free space",
      );
    }
  }
}

function working<T>(folder: string, body: (folder: string, work: string) => T): T {
  const work = mkdtempSync(join(folder, workPrefix));
  try {
    return body(folder, work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** How the names of work folders begin: those of processes that were killed are removed later. */
export const workPrefix = "work-";

/** A disk that a program other than ours found full. */
export class NoSpace extends Error {
  readonly code = "ENOSPC";
}

/** True for errors that say "not in this folder": read-only, forbidden, full, a file where a folder should be. */
const unwritable = (problem: unknown): boolean =>
  ["EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT", "ENOTDIR"].includes(codeOf(problem) ?? "");

export const codeOf = (problem: unknown): string | undefined =>
  problem instanceof Error && "code" in problem && typeof problem.code === "string" ? problem.code : undefined;

/** What the system says, without the call and the path that Node adds: `read-only file system`. */
export function reasonOf(problem: unknown): string {
  const message = problem instanceof Error ? problem.message : String(problem);
  return /^E[A-Z]+: ([^,]*)/.exec(message)?.[1] ?? message;
}
