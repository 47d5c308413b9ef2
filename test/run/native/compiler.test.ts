import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { probeCompiler } from "../../../src/run/native/compiler.ts";
import { unitFor } from "../../../src/run/native/tiles.ts";
import { child, compiler, fresh, wrapper } from "./child.ts";

const before = { ...process.env };
afterEach(() => {
  for (const name of ["CC", "DOWNHILL_MARCH", "DOWNHILL_CACHE", "PATH"]) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
});

describe("without a compiler", () => {
  test("CC that does not exist is a reason, not an exception", () => {
    process.env.CC = "/nonexistent";
    expect(probeCompiler()).toEqual({
      found: false,
      reason: "no C compiler: CC names `/nonexistent`, which was not found",
      remedy: "correct CC, or unset it",
    });
  });

  test("an empty PATH names what was looked for, and what to install", () => {
    delete process.env.CC;
    process.env.PATH = fresh("nothing");
    expect(probeCompiler()).toMatchObject({
      found: false,
      reason: expect.stringContaining("`cc`, `gcc`, `clang`"),
      remedy: expect.stringContaining("install one"),
    });
  });

  test("every module can be imported, and only using it throws, with the reason", async () => {
    const program = `
      import { loadBinding } from "./binding.js";
      import { compileToObject, cacheReport } from "./cache.js";
      import { probeCompiler } from "./compiler.js";
      import { NativeBlock } from "./memory.js";
      const compile = () => compileToObject("int dh;");
      const uses = [() => loadBinding(), compile, () => new NativeBlock(8)];
      for (const use of uses) try { use(); } catch (e) { console.log(e.name, e.message.includes("CC names")); }
      console.log(probeCompiler().found, cacheReport().objects);`;
    const { status, out } = await child(program, { CC: "/nonexistent", DOWNHILL_CACHE: fresh("cache") });
    expect(out).toBe(`${"DownhillError true\n".repeat(3)}false 0\n`);
    expect(status).toBe(0);
  });
});

describe.skipIf(!compiler.found)("with a compiler", () => {
  test("it is described", () => {
    if (!compiler.found) return;
    expect(compiler.command).toMatch(/^\//);
    expect(compiler.version).toMatch(/\d+\.\d+/);
    expect(compiler.version).not.toContain("\n");
    expect(compiler.fullVersion).toContain(compiler.version);
    expect({ avx512: 16, avx2: 8, neon: 4, generic: 4 }[compiler.simd]).toBe(compiler.lanes);
    expect([...compiler.flags.base, ...compiler.flags.link].join(" ")).not.toMatch(/fast-math|unsafe/);
  });

  test("the kernel's own feature line agrees with what the compiler says it will use", () => {
    if (!compiler.found || process.arch !== "x64" || !existsSync("/proc/cpuinfo")) return;
    const has = (name: string) => readFileSync("/proc/cpuinfo", "utf8").includes(` ${name} `);
    expect(compiler.simd).toBe(has("avx512vl") && has("avx512bw") ? "avx512" : has("avx2") ? "avx2" : "generic");
  });

  test("what multiplies bfloat16 is in the kernel's own feature line, and tiles are only used with its leave", () => {
    if (!compiler.found || process.arch !== "x64" || !existsSync("/proc/cpuinfo")) return;
    const has = (name: string) => readFileSync("/proc/cpuinfo", "utf8").includes(` ${name} `);
    if (compiler.bf16 === "amx") expect(has("amx_bf16") && has("amx_tile")).toBe(true);
    if (compiler.bf16 !== "none") expect(has("avx512_bf16")).toBe(true);
    expect(["amx", "avx512"].includes(unitFor(compiler))).toBe(compiler.bf16 !== "none");
    expect(unitFor({ ...compiler, bf16: "none" })).toBe("none");
    process.env.DOWNHILL_MARCH = "x86-64-v3";
    expect(probeCompiler()).toMatchObject({ bf16: "none" });
  });

  test.skipIf(process.arch !== "x64").each([
    ["x86-64-v3", "avx2", 8],
    ["x86-64-v2", "generic", 4],
    ["x86-64", "generic", 4],
  ] as const)("DOWNHILL_MARCH=%s gives %s", (march, simd, lanes) => {
    if (simd === "avx2" && compiler.found && compiler.lanes < 8) return;
    process.env.DOWNHILL_MARCH = march;
    expect(probeCompiler()).toMatchObject({ found: true, simd, lanes });
    const probed = probeCompiler();
    expect(probed.found && probed.flags.base).toContain(`-march=${march}`);
  });

  test("a DOWNHILL_MARCH the compiler does not know is a reason", () => {
    process.env.DOWNHILL_MARCH = "abacus";
    expect(probeCompiler()).toMatchObject({
      found: false,
      reason: expect.stringContaining("abacus"),
      remedy: "correct DOWNHILL_MARCH, or unset it",
    });
  });

  test("vectors wider than the CPU's are refused: they would end the process", () => {
    // A compiler that finds no vectors in this CPU, whatever it is.
    process.env.CC = wrapper('for a; do shift; [ "$a" = -march=native ] && a=-march=x86-64; set -- "$@" "$a"; done');
    process.env.DOWNHILL_MARCH = "x86-64-v3";
    if (process.arch !== "x64") return;
    expect(probeCompiler()).toMatchObject({ found: false, reason: expect.stringContaining("needs avx2") });
  });

  test("a compiler that cannot link counts as none, and says what it said", () => {
    process.env.CC = wrapper(`case "$*" in *-shared*) echo "ld: cannot find crti.o" >&2; exit 1;; esac`);
    const answer = probeCompiler();
    expect(answer).toMatchObject({ found: false, reason: expect.stringContaining("cannot find crti.o") });
    expect(answer).toMatchObject({ reason: expect.stringContaining("cannot build a shared object") });
  });

  test("CC may carry words after the program, as in `ccache gcc`", () => {
    if (!compiler.found) return;
    process.env.CC = `${compiler.command} -DDH_WORD`;
    expect(probeCompiler()).toMatchObject({ found: true, command: compiler.command, words: ["-DDH_WORD"] });
  });

  test("a failing cc is passed over for a gcc that works", () => {
    if (!compiler.found) return;
    const bin = fresh("bin");
    mkdirSync(bin);
    copyFileSync(wrapper("exit 1"), join(bin, "cc"));
    symlinkSync(compiler.command, join(bin, "gcc"));
    delete process.env.CC;
    process.env.PATH = `${bin}:${before.PATH}`;
    expect(probeCompiler()).toMatchObject({ found: true, command: join(bin, "gcc") });
  });

  test("the answer is kept on disk, and asked again when it is damaged", async () => {
    const cache = fresh("cache");
    const count = fresh("count");
    const env = { CC: wrapper(`echo x >> '${count}'`), DOWNHILL_CACHE: cache };
    const program = `import { probeCompiler } from "./compiler.js"; console.log(probeCompiler().found);`;
    const runs = () => readFileSync(count, "utf8").length / 2;
    expect((await child(program, env)).out).toBe("true\n");
    const once = runs();
    expect((await child(program, env)).out).toBe("true\n");
    expect(runs()).toBe(once);
    const [file = ""] = readdirSync(join(cache, "compilers"));
    writeFileSync(join(cache, "compilers", file), '{"fullVersion":');
    expect((await child(program, env)).out).toBe("true\n");
    expect(runs()).toBe(2 * once);
  });
});
