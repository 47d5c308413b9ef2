/** The library of kernels: compiled once, known by its name, opened for the programs that call it and for no others. */
import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { printGemm } from "../../../src/print/c/gemm.ts";
import { probeCompiler } from "../../../src/run/native/compiler.ts";
import { calledBy, openLibraries, printerOf } from "../../../src/run/native/library.ts";

const compiler = probeCompiler();

describe.skipIf(!compiler.found)("the library of kernels (needs a C compiler)", () => {
  if (!compiler.found) return;
  const product = (dtype: "f32" | "f64") =>
    printGemm({
      name: "dh_product",
      dtype,
      m: 32,
      n: 32,
      sum: [{ n: 32, a: 1, b: 32 }],
      a: 32,
      b: 1,
      c: { row: 32, col: 1 },
      lanes: compiler.lanes,
    }).text;

  test("a program is told by the libraries it calls, and equal ones alike", () => {
    expect(calledBy(["", product("f32")], compiler)).toEqual(["f32"]);
    const single = openLibraries(compiler, ["f32"]);
    expect(single.note).toMatch(/^\/\* kernels: [0-9a-f]{64}\.so \*\/\n$/);
    expect(openLibraries(compiler, ["f32"])).toEqual(single);
    const both = openLibraries(compiler, calledBy([product("f32"), product("f64")], compiler));
    expect(both.note.startsWith(single.note)).toBe(true);
    expect(both.note.split("\n")).toHaveLength(3);
  });

  test("a program without products needs none", () => {
    expect(openLibraries(compiler, calledBy(["void dh_run(void) {}"], compiler))).toEqual({ note: "", link: [] });
  });
});

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "downhill-library-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!compiler.found)("an open library (needs a C compiler)", () => {
  afterEach(() => {
    vi.doUnmock("../../../src/print/c/gemm/library.ts");
    vi.unstubAllEnvs();
    vi.resetModules();
  });

  test("is printed once per cache where the modules that print it are known, and found without", async () => {
    vi.stubEnv("DOWNHILL_CACHE", folder);
    const kernelLibrary = vi.fn(() => ["int dh_kernel(void) { return 1; }"]);
    vi.doMock("../../../src/print/c/gemm/library.ts", () => ({ kernelLibrary }));
    /** As a new process would. */
    const opened = async (printer: string | undefined) => {
      vi.resetModules();
      const library = await import("../../../src/run/native/library.ts");
      if (!compiler.found) return "";
      return library.openLibraries(compiler, ["f32"], () => printer).note;
    };
    const note = await opened("one printer");
    expect(kernelLibrary).toHaveBeenCalledTimes(1);
    expect(await opened("one printer")).toBe(note);
    expect(kernelLibrary).toHaveBeenCalledTimes(1);
    await opened("another printer");
    expect(kernelLibrary).toHaveBeenCalledTimes(2);
    await opened(undefined);
    await opened(undefined);
    expect(kernelLibrary).toHaveBeenCalledTimes(4);
  });
});

describe("the file that prints the library", () => {
  /** A built package, with `text` for that file. */
  function built(text: string): string {
    mkdirSync(dirname(file()), { recursive: true });
    writeFileSync(file(), text);
    return pathToFileURL(join(folder, "run/native/layer.js")).href;
  }
  const file = () => join(folder, "print/c/gemm/library.js");
  /** Files that were there when this process began, as far as it can tell. */
  const later = () => vi.spyOn(performance, "timeOrigin", "get").mockReturnValue(Date.now() + 60_000);
  afterEach(() => vi.restoreAllMocks());

  test("is told by its content", () => {
    later();
    const first = printerOf(built("a"));
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(printerOf(built("b"))).not.toBe(first);
    expect(printerOf(built("a"))).toBe(first);
  });

  test("says nothing when it was touched since the thread began, is missing, or is not built", () => {
    const here = built("a");
    utimesSync(file(), new Date(0), new Date(0)); // what an editor or an archive may claim
    expect(statSync(file()).mtimeMs).toBe(0);
    expect(printerOf(here)).toBeUndefined();
    later();
    expect(printerOf(here)).toBeDefined();
    expect(printerOf(here.replace(/js$/, "ts"))).toBeUndefined();
    rmSync(file());
    expect(printerOf(here)).toBeUndefined();
  });
});
