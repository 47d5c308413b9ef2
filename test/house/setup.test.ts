/**
 * scripts/setup.mjs in a small clone of its own, with an npm and a tsc that write down that they were called: it does
 * what is needed, once, and nothing when nothing is needed.
 */
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const script = resolve(import.meta.dirname, "../../scripts/setup.mjs");
let clone = "";

const write = (file: string, text: string) => {
  mkdirSync(dirname(join(clone, file)), { recursive: true });
  writeFileSync(join(clone, file), text);
};
const read = (file: string) => (existsSync(join(clone, file)) ? readFileSync(join(clone, file), "utf8") : "");
const calls = () => read("calls").trim().split("\n").filter(Boolean);

const packages = (version: string) => ({
  "": { name: "clone" },
  "node_modules/tsc7": { version, integrity: `sha512-${version}` },
  "node_modules/other-platform": { version: "1.0.0", integrity: "sha512-x", optional: true },
});
const lock = (version: string) => write("package-lock.json", JSON.stringify({ packages: packages(version) }));

/** As npm ci does: a fresh node_modules, its record last. */
const npm = `
  const fs = require("node:fs");
  fs.appendFileSync("calls", "npm " + process.argv[2] + "\\n");
  if (fs.existsSync("offline")) { console.error("npm error network"); process.exit(7); }
  fs.rmSync("node_modules", { recursive: true, force: true });
  fs.mkdirSync("node_modules/tsc7/bin", { recursive: true });
  fs.copyFileSync("tsc.cjs", "node_modules/tsc7/bin/tsc");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  const { packages } = JSON.parse(fs.readFileSync("package-lock.json", "utf8"));
  delete packages[""];
  delete packages["node_modules/other-platform"];
  fs.writeFileSync("node_modules/.package-lock.json", JSON.stringify({ packages }));
`;

/** "Compiles" each file of src by copying it; a file that holds "error" fails. */
const tsc = `
  const fs = require("node:fs");
  fs.appendFileSync("calls", "tsc\\n");
  const out = process.argv[process.argv.indexOf("--outDir") + 1];
  fs.cpSync("src", out, { recursive: true });
  for (const f of fs.readdirSync("src")) if (fs.readFileSync("src/" + f, "utf8").includes("error")) process.exit(2);
`;

/** "Bundles" what tsc has left. */
const bundle = `
  import fs from "node:fs";
  fs.appendFileSync("calls", "bundle\\n");
  if (fs.readFileSync("src/a.ts", "utf8").includes("a circle")) process.exit(1);
  fs.writeFileSync(process.argv[2] + "/bundled", fs.readdirSync(process.argv[2]).join());
`;

type Result = { code: number | null; stdout: string; stderr: string };

function setup(): Promise<Result> {
  const child = spawn(process.execPath, [join(clone, "scripts/setup.mjs")], {
    cwd: tmpdir(),
    env: { ...process.env, npm_execpath: join(clone, "npm-cli.cjs.js") },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => (stdout += text));
  child.stderr.on("data", (text) => (stderr += text));
  return new Promise((done) => child.on("close", (code) => done({ code, stdout, stderr })));
}

beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), "downhill-setup-"));
  mkdirSync(join(clone, "scripts"));
  copyFileSync(script, join(clone, "scripts/setup.mjs"));
  write("npm-cli.cjs.js", npm);
  write("tsc.cjs", tsc);
  write("scripts/bundle.mjs", bundle);
  write("package.json", "{}");
  write("tsconfig.json", "{}");
  write("tsconfig.build.json", "{}");
  write("src/a.ts", "a");
  write("src/b.ts", "b");
  lock("1.0.0");
});
afterEach(() => rmSync(clone, { recursive: true, force: true }));

test("a fresh clone is installed and built; a second time there is nothing to do or say", async () => {
  const first = await setup();
  expect(first).toMatchObject({ code: 0, stdout: "" });
  expect(first.stderr).toContain("npm ci");
  expect(calls()).toEqual(["npm ci", "tsc", "bundle"]);
  expect(read("dist/a.ts")).toBe("a");
  expect(read("dist/bundled")).toBe("a.ts,b.ts");
  expect(await setup()).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(calls()).toHaveLength(3);
});

test("a changed lock installs again, and builds again", async () => {
  await setup();
  lock("1.0.1");
  await setup();
  expect(calls()).toEqual(["npm ci", "tsc", "bundle", "npm ci", "tsc", "bundle"]);
});

test("an install that was cut off counts as none", async () => {
  await setup();
  rmSync(join(clone, "node_modules/.package-lock.json"));
  await setup();
  expect(calls()).toEqual(["npm ci", "tsc", "bundle", "npm ci"]);
});

test("a changed, a new and a deleted source each build again, and dist holds no leavings", async () => {
  await setup();
  write("src/a.ts", "changed");
  await setup();
  expect(read("dist/a.ts")).toBe("changed");
  write("src/c.ts", "c");
  await setup();
  rmSync(join(clone, "src/b.ts"));
  await setup();
  expect(existsSync(join(clone, "dist/b.ts"))).toBe(false);
  expect(calls().filter((call) => call === "tsc")).toHaveLength(4);
  expect(calls().filter((call) => call === "bundle")).toHaveLength(4);
});

test.each([
  ["tsc", "an error"],
  ["rolldown", "a circle"],
])("a build that fails in %s leaves the earlier one and says so", async (tool, text) => {
  await setup();
  write("src/a.ts", text);
  const { code, stderr } = await setup();
  expect(code).toBe(1);
  expect(stderr).toContain(`setup: the build failed, see ${tool}'s message above`);
  expect(read("dist/a.ts")).toBe("a");
  write("src/a.ts", "mended");
  expect((await setup()).code).toBe(0);
});

test("a failed install says why, gives npm's words, and can be tried again", async () => {
  write("offline", "");
  const { code, stderr } = await setup();
  expect(code).toBe(1);
  expect(stderr).toContain("npm error network");
  expect(stderr).toContain("npm ci failed (exit code 7)");
  rmSync(join(clone, "offline"));
  expect((await setup()).code).toBe(0);
});

test("two at once do the work once", async () => {
  const both = await Promise.all([setup(), setup()]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(calls()).toEqual(["npm ci", "tsc", "bundle"]);
});

test("a lock left behind by a killed set-up is taken over", async () => {
  const dead = spawn(process.execPath, ["-e", ""]);
  await new Promise((done) => dead.on("close", done));
  write(".setup-lock", `${dead.pid}`);
  expect((await setup()).code).toBe(0);
  expect(existsSync(join(clone, ".setup-lock"))).toBe(false);
});
