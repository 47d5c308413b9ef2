/**
 * A Node process of its own for what concerns a whole process: exit codes, warnings, environment, memory, kill -9.
 * The sources of the native backend are turned into JavaScript beside the child's program once per test file.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll } from "vitest";
import { probeCompiler } from "../../../src/run/native/compiler.ts";

const source = fileURLToPath(new URL("../../../src/", import.meta.url));

/** Removed when the tests of a file are over. */
const scratch = mkdtempSync(join(tmpdir(), "downhill-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let folders = 0;
/** A path in the scratch folder where nothing is yet. */
export const fresh = (name: string): string => join(scratch, `${name}-${folders++}`);

// The tests never touch the user's cache.
process.env.DOWNHILL_CACHE = fresh("cache");

export const compiler = probeCompiler();

let translated: string | undefined;

/** The folder in which child programs run: `./binding.js` and the rest of the native backend lie beside them. */
function home(): string {
  if (translated) return translated;
  const root = fresh("js");
  const files = readdirSync(join(source, "run/native")).filter((name) => name !== "backend.ts");
  for (const file of ["ir/fail.ts", "run/threads.ts", ...files.map((name) => `run/native/${name}`)]) {
    const to = join(root, file.replace(/ts$/, "js"));
    const { outputText } = ts.transpileModule(readFileSync(join(source, file), "utf8"), {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        rewriteRelativeImportExtensions: true,
      },
    });
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, outputText);
  }
  writeFileSync(join(root, "package.json"), '{ "type": "module" }');
  translated = join(root, "run/native");
  return translated;
}

export interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `program` (a module) in its own process. `env` is added to ours; undefined removes a variable. */
export function child(
  program: string,
  env: Record<string, string | undefined> = {},
  flags: string[] = [],
): Promise<Ended> {
  const file = join(home(), `child-${folders++}.js`);
  writeFileSync(file, program);
  const running: ChildProcess = spawn(process.execPath, [...flags, file], { env: { ...process.env, ...env } });
  let out = "";
  let err = "";
  running.stdout?.on("data", (text) => (out += text));
  running.stderr?.on("data", (text) => (err += text));
  return new Promise((resolve) => running.on("close", (status, signal) => resolve({ status, signal, out, err })));
}

/** A compiler of our own making: a shell script that ends by calling the real one, unless `before` ends it. */
export function wrapper(before: string): string {
  const path = fresh("cc");
  if (!compiler.found) throw new Error(compiler.reason);
  writeFileSync(path, `#!/bin/sh\n${before}\nexec '${compiler.command}' "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}
