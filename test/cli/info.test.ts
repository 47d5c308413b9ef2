/** info, help and version. */
import { describe, expect, test } from "vitest";
import { backendNames } from "../../src/run/select.ts";
import { downhill } from "./terminal.ts";

test("info --json names every backend, and whether it works", async () => {
  const { code, out } = await downhill(["info", "--json"]);
  expect(code).toBe(0);
  const info = JSON.parse(out);
  expect(info).toMatchObject({
    version: expect.stringMatching(/^\d/),
    node: process.versions.node,
    threads: expect.any(Number),
    cache: {
      folder: expect.any(String),
      objects: expect.any(Number),
      programs: expect.any(Number),
      bytes: expect.any(Number),
    },
  });
  expect(info.backends.map(({ name }: { name: string }) => name)).toEqual(backendNames);
  expect(info.backends.find(({ name }: { name: string }) => name === "js").works).toBe(true);
});

test("info for a person", async () => {
  const { out } = await downhill(["info"]);
  for (const name of ["node", "processor", "compiler", "cache", ...backendNames])
    expect(out).toMatch(new RegExp(`^  ${name} `, "m"));
});

test("without a compiler, info says why and what to install, and training still works", async () => {
  const { CC } = process.env;
  process.env.CC = "/nowhere/cc";
  try {
    const info = JSON.parse((await downhill(["info", "--json"])).out);
    expect(info).toMatchObject({ compiler: null });
    const native = info.backends.find(({ name }: { name: string }) => name === "native");
    expect(native).toMatchObject({ works: false, about: expect.stringContaining("correct CC, or unset it") });
  } finally {
    if (CC === undefined) delete process.env.CC;
    else process.env.CC = CC;
  }
});

describe("help", () => {
  test.each(["train", "predict", "eval", "profile", "info"])("%s has examples, within 80 columns", async (command) => {
    for (const argv of [
      [command, "--help"],
      ["help", command],
    ]) {
      const { code, out } = await downhill(argv);
      expect(code).toBe(0);
      expect(out).toContain(`$ downhill ${command}`);
      expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    }
  });

  test("alone, it lists the commands", async () => {
    const { code, out } = await downhill([]);
    expect(code).toBe(0);
    for (const command of ["train", "predict", "eval", "profile", "info"])
      expect(out).toMatch(new RegExp(`^  ${command} `, "m"));
  });
});
