/** What is committed is fit for strangers: no path of one machine, no registry of one network, a README that holds. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

/** Committed files that are text; none where the sources were unpacked without git. */
function committed(): string[] {
  if (!existsSync(join(root, ".git"))) return [];
  const files = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" }).split("\0").filter(Boolean);
  return files.filter((file) => existsSync(join(root, file)) && !read(file).includes("\0"));
}

// Written with alternatives, so that this line does not find itself.
const machinePath = /(^|[^\w.)\]*])\/(home|root|tmp|opt|work|mnt|srv|Users)\//;

test("no committed file names a path of somebody's machine", () => {
  const found = committed().flatMap((file) =>
    read(file)
      .split("\n")
      .flatMap((line, k) => (machinePath.test(line) ? [`${file}:${k + 1}: ${line.trim()}`] : [])),
  );
  expect(found).toEqual([]);
});

test("the rule for paths finds them, and leaves addresses and system paths alone", () => {
  const folders = ["home", "tmp", "work"];
  for (const folder of folders) expect(`open("/${folder}/ada/x.csv")`).toMatch(machinePath);
  for (const fine of ["https://example.org/home/x", "../tmp/x", "/usr/lib/x", "/proc/cpuinfo", "/dev/full"]) {
    expect(fine).not.toMatch(machinePath);
  }
});

test("package-lock.json names no registry but npm's own", () => {
  const hosts = [...read("package-lock.json").matchAll(/"resolved": "(https?:\/\/[^/]+)/g)].map(([, host]) => host);
  expect(hosts.filter((host) => host !== "https://registry.npmjs.org")).toEqual([]);
});

describe.skipIf(!existsSync(join(root, "README.md")))("README", () => {
  test("gives the two commands, and both are scripts", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    for (const name of ["start", "test"]) {
      expect(read("README.md")).toMatch(new RegExp(`\\bnpm ${name}\\b`));
      expect(scripts[name]).toMatch(/^node scripts\/setup[.]mjs && /);
    }
  });

  test("every script it mentions exists", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const mentioned = [...read("README.md").matchAll(/\bnpm run ([\w-]+)/g)].map(([, name]) => name!);
    expect(mentioned.filter((name) => !(name in scripts))).toEqual([]);
  });

  test("has a program in a ts block, which the examples runner compiles and runs", () => {
    expect(read("README.md")).toMatch(/^```ts\n.*?^```$/ms);
  });

  test("every file it links to exists", () => {
    const links = [...read("README.md").matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, path]) => path!);
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});
