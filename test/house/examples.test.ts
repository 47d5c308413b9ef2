/** The examples: short programs with a head comment, on public imports alone, that assert their own result. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const names = readdirSync(join(root, "examples")).filter((name) => name.endsWith(".ts"));
const { exports } = JSON.parse(read("package.json")) as { exports: Record<string, unknown> };
const subpaths = Object.keys(exports).map((path) => path.replace(/^\./, "downhill"));

test.each(names)("examples/%s", (name) => {
  const text = read(`examples/${name}`);
  expect(text, "a head comment that says what it shows").toMatch(/^\/\*\*\n \* .{40,}\n( \*.*\n)* \*\/\n/);
  expect(text.trimEnd().split("\n").length, "lines").toBeLessThanOrEqual(80);
  for (const [, from] of text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g)) {
    expect(from!.startsWith("node:") || subpaths.includes(from!), `it imports ${from}`).toBe(true);
  }
  expect(text, "an assertion").toMatch(/^\s*assert\./m);
});

describe("docs/examples.md", () => {
  const rows = [...read("docs/examples.md").matchAll(/^\| \[([\w-]+)\]\(\.\.\/examples\/([\w-]+\.ts)\) \|/gm)];

  test("has a row for each example, and for no other", () => {
    expect(rows.map(([, , file]) => file).sort()).toEqual(names.toSorted());
    for (const [, title, file] of rows) expect(`${title}.ts`).toBe(file);
  });
});
