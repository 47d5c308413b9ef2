/** The library of kernels: compiled once, known by its name, opened for the programs that call it and for no others. */
import { describe, expect, test } from "vitest";
import { printGemm } from "../../../src/print/c/gemm.ts";
import { probeCompiler } from "../../../src/run/native/compiler.ts";
import { openLibraries } from "../../../src/run/native/library.ts";

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
    const single = openLibraries(compiler, [product("f32")]);
    expect(single.note).toMatch(/^\/\* kernels: [0-9a-f]{64}\.so \*\/\n$/);
    expect(openLibraries(compiler, ["", product("f32")])).toEqual(single);
    const both = openLibraries(compiler, [product("f32"), product("f64")]);
    expect(both.note.startsWith(single.note)).toBe(true);
    expect(both.note.split("\n")).toHaveLength(3);
  }, 60_000);

  test("a program without products needs none", () => {
    expect(openLibraries(compiler, ["void dh_run(void) {}"])).toEqual({ note: "", link: [] });
  });
});
