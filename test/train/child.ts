/** A Node process of its own that trains: to be killed, limited or measured. The sources become JavaScript once per file. */
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Removed when the tests of a file are over. */
const scratch = mkdtempSync(join(tmpdir(), "downhill-train-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let names = 0;
/** A path where nothing is yet. */
export const fresh = (name: string): string => join(scratch, `${name}-${names++}`);

let translated: string | undefined;

/** The folder in which children run: `./train/index.js` and the rest of src lie beside them. */
function home(): string {
  if (translated) return translated;
  const to = join(scratch, "package");
  const tsc = [join(root, "node_modules/tsc7/bin/tsc"), "-p", join(root, "tsconfig.build.json"), "--noCheck"];
  const into = ["--outDir", join(to, "src"), "--declaration", "false", "--emitDeclarationOnly", "false"];
  execFileSync(process.execPath, [...tsc, ...into]);
  copyFileSync(join(root, "package.json"), join(to, "package.json"));
  translated = join(to, "src");
  return translated;
}

export type Ended = { readonly status: number | null; readonly signal: string | null; readonly out: string };

/**
 * Runs `program`, a module. `shell` comes before Node, such as a limit; `heard` sees each line of its output and may end
 * it with SIGKILL.
 */
export function child(
  program: string,
  {
    flags = [],
    shell = "",
    heard,
  }: { flags?: string[]; shell?: string; heard?: (line: string, kill: () => void) => void } = {},
): Promise<Ended> {
  const file = join(home(), `child-${names++}.js`);
  writeFileSync(file, program);
  const command = [process.execPath, ...flags, file].map((word) => `'${word}'`).join(" ");
  const running = spawn("sh", ["-c", `${shell} exec ${command}`]);
  let out = "";
  let line = "";
  running.stdout.on("data", (text: Buffer) => {
    out += text;
    const lines = (line + text).split("\n");
    line = lines.pop()!;
    for (const l of lines) heard?.(l, () => running.kill("SIGKILL"));
  });
  running.stderr.on("data", (text: Buffer) => (out += text));
  return new Promise((done) => running.on("close", (status, signal) => done({ status, signal, out })));
}
