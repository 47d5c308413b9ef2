/** bin/downhill.js, in an installed package and in a clone. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import * as module from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "downhill-bin-"));
  for (const name of ["bin", "dist/cli", "dist/run/native", "scripts"])
    mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(resolve(import.meta.dirname, "../../bin/downhill.js"), join(folder, "bin/downhill.js"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const built = () =>
  writeFileSync(
    join(folder, "dist/cli/main.js"),
    "export async function main(argv) { console.log(argv.join()); return 3; }",
  );
const setup = (body: string) =>
  writeFileSync(
    join(folder, "scripts/setup.mjs"),
    `import { writeFileSync } from "node:fs"; export async function setup() { ${body} }`,
  );
const downhill = (...args: string[]) =>
  spawnSync(process.execPath, [join(folder, "bin/downhill.js"), ...args], { encoding: "utf8" });

test("hands over the arguments and takes the exit code", () => {
  built();
  expect(downhill("train", "a.csv")).toMatchObject({ status: 3, stdout: "train,a.csv\n", stderr: "" });
});

test("a clone sets itself up first", () => {
  setup(
    'writeFileSync(new URL("../dist/cli/main.js", import.meta.url), "export const main = async () => (console.log(7), 0);");',
  );
  expect(downhill()).toMatchObject({ status: 0, stdout: "7\n", stderr: "" });
});

test("where the set-up fails, the earlier build runs and says so", () => {
  built();
  setup('throw new Error("the build failed");');
  expect(downhill("info")).toMatchObject({
    status: 3,
    stdout: "info\n",
    stderr: "setup: the build failed; going on with the earlier build\n",
  });
});

test("without any build it says what to do", () => {
  const { status, stderr } = downhill();
  expect(status).toBe(1);
  expect(stderr).toContain("npm run build");
});

test.runIf("enableCompileCache" in module)(
  "Node keeps what it compiled where that can be trusted, and says nothing",
  () => {
    built();
    const answer = (body: string) =>
      writeFileSync(join(folder, "dist/run/native/folder.js"), `export const trustedFolder = () => { ${body} };`);
    const cache = join(folder, "cache");
    mkdirSync(cache);
    for (const body of ["return undefined;", 'throw new Error("no folder");', `return ${JSON.stringify(cache)};`]) {
      expect(readdirSync(cache)).toEqual([]);
      answer(body);
      expect(downhill("info")).toMatchObject({ status: 3, stdout: "info\n", stderr: "" });
    }
    expect(readdirSync(cache)).toEqual(["node"]);
  },
);
