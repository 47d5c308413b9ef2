/** scripts/bundle.mjs: what users import is there and nothing else, in few files, each with the code of its layer. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { printerOf } from "../../src/run/native/library.ts";
import { modulesOf } from "../../src/run/native/modules.ts";

const root = resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "downhill-bundle-"));
const dist = join(folder, "dist");

beforeAll(() => {
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const { status, stderr } = spawnSync(process.execPath, [join(root, "scripts/bundle.mjs"), dist], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  exports: Record<string, { default?: string }>;
};
const entries = Object.values(exports).flatMap(({ default: file }) => file?.slice("./dist/".length) ?? []);

test.each(entries)("%s has the names of its source", async (file) => {
  const source = join(root, "src", file.replace(/js$/, "ts"));
  const [built, written] = await Promise.all([import(join(dist, file)), import(source)]);
  expect(Object.keys(built).sort()).toEqual(Object.keys(written).sort());
});

/** The files of dist that are loaded with one of them, itself included. */
function loadedWith(file: string, met = new Set<string>()): Set<string> {
  if (met.has(file)) return met;
  met.add(file);
  for (const [, from] of readFileSync(join(dist, file), "utf8").matchAll(/^(?:im|ex)port [^;]*?"([^"]+)";$/gm)) {
    if (from!.startsWith(".")) loadedWith(join(dirname(file), from!), met);
    else met.add(from!);
  }
  return met;
}

test("a start loads few files, and none that needs Node before a backend is chosen", () => {
  const met = ["index.js", "nn/index.js", "optim/index.js"].flatMap((file) => [...loadedWith(file)]);
  expect([...met.values()].filter((file) => !existsSync(join(dist, file)))).toEqual([]);
  expect(new Set(met).size).toBeLessThan(15);
  expect(met.filter((file) => file.includes("native"))).toEqual([]);
  const entry = [...loadedWith("run/native/folder.js")].filter((file) => file.endsWith(".js"));
  expect(entry).toEqual(["run/native/folder.js", "ir/fail.js"]); // before Node's own cache is there
});

test("what tells which code is running finds it: no code of a layer that compiles lies in another's file", () => {
  const maps = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js.map"));
  const strayed = maps.flatMap((map) => {
    const { sources } = JSON.parse(readFileSync(join(dist, map), "utf8")) as { sources: string[] };
    const names = sources.map((source) => relative(join(root, "src"), resolve(dist, dirname(map), source)));
    return names.filter((name) => /^(ir|compile|print|run)\//.test(name) && !map.startsWith(name.replace(/\/.*/, "/")));
  });
  expect(maps.length).toBeGreaterThan(20);
  expect(strayed).toEqual([]);

  const here = pathToFileURL(join(dist, "run/native/layer.js")).href;
  expect(modulesOf(here, Date.now() + 60_000)).toBeDefined();
  vi.spyOn(performance, "timeOrigin", "get").mockReturnValue(Date.now() + 60_000);
  expect(printerOf(here)).toBeDefined();
  vi.restoreAllMocks();
});
