import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { loadBinding } from "../../../src/run/native/binding.ts";
import { cacheReport, compileToObject } from "../../../src/run/native/cache.ts";
import { trustedFolder } from "../../../src/run/native/folder.ts";
import { NativeBlock } from "../../../src/run/native/memory.ts";
import { child, compiler, fresh, wrapper } from "./child.ts";

let cache = "";
beforeEach(() => {
  cache = fresh("cache");
  process.env.DOWNHILL_CACHE = cache;
});

/** C text that writes `n` to where its first argument points. */
const writes = (n: number) => `void dh_write(int *out) { *out = ${n}; }`;

function written(path: string): number {
  const binding = loadBinding();
  const out = new NativeBlock(4);
  binding.call(binding.sym(binding.open(path), "dh_write"), out.address, 0, 0);
  return new Int32Array(out.view())[0] ?? Number.NaN;
}

const objects = () => readdirSync(join(cache, "objects"));
const leftovers = () => readdirSync(cache).filter((name) => name.startsWith("work-"));
const DAY = 24 * 60 * 60; // seconds

describe.skipIf(!compiler.found)("compileToObject", () => {
  test("compiles, then finds what it compiled", () => {
    const first = compileToObject(writes(41));
    expect(first.cached).toBe(false);
    expect(written(first.path)).toBe(41);
    expect(compileToObject(writes(41))).toMatchObject({ cached: true, path: first.path });
    expect(leftovers()).toEqual([]);
  });

  test("text, optimisation, arithmetic and links are part of the key", () => {
    const text = writes(42);
    const paths = [
      compileToObject(text),
      compileToObject(`${text} `),
      compileToObject(text, { optimize: "-O2" }),
      compileToObject(text, { link: ["-lm"] }),
    ];
    expect(new Set(paths.map(({ path }) => path)).size).toBe(4);
  });

  test.skipIf(process.arch !== "x64")("so are the flags", () => {
    const native = compileToObject(writes(43));
    process.env.DOWNHILL_MARCH = "x86-64";
    try {
      expect(compileToObject(writes(43)).cached).toBe(false);
      expect(compileToObject(writes(43)).path).not.toBe(native.path);
    } finally {
      delete process.env.DOWNHILL_MARCH;
    }
  });

  test("so are the words that CC carries", () => {
    const command = compiler.found ? compiler.command : "";
    const text = "void dh_write(int *out) { *out = DH_WORD; }";
    const values = [60, 61].map((n) => {
      process.env.CC = `${command} -DDH_WORD=${n}`;
      return written(compileToObject(text).path);
    });
    delete process.env.CC;
    expect(values).toEqual([60, 61]);
  });

  test("several sources become one object, each with its own optimisation", () => {
    const sources = [
      { text: "extern int dh_value(void); void dh_write(int *out) { *out = dh_value(); }" },
      { text: "#ifndef __OPTIMIZE__\n#error\n#endif\nint dh_value(void) { return 44; }", optimize: "-O2" },
    ] as const;
    const { path } = compileToObject(sources);
    expect(written(path)).toBe(44);
    expect(compileToObject(sources).cached).toBe(true);
  });

  test("a sum keeps its order unless the text says that it is free", () => {
    // In the order of the text every 1 is lost beside 2^24; in several lanes only those of one lane are.
    const text = (above: string) => `void dh_sum(const float *x, double *out) {
      float sum = 0;
      ${above}
      for (int i = 0; i < 4096; i++) sum += x[i];
      *out = sum;
    }`;
    const binding = loadBinding();
    const x = new NativeBlock(4 * 4096);
    const out = new NativeBlock(8);
    const values = new Float32Array(x.view()).fill(1);
    values[0] = 2 ** 24; // adding 1 to it in f32 changes nothing
    const sum = (above: string) => {
      const f = binding.sym(binding.open(compileToObject(text(above)).path), "dh_sum");
      binding.call(f, x.address, out.address, 0);
      return new Float64Array(out.view())[0];
    };
    expect(sum("")).toBe(2 ** 24);
    expect(sum("#pragma omp simd reduction(+ : sum)")).toBeGreaterThan(2 ** 24);
  });

  test("the folders are private", () => {
    compileToObject(writes(45));
    const modes = ["", "objects", "compilers", join("objects", objects()[0] ?? "")].map(
      (name) => statSync(join(cache, name)).mode & 0o777,
    );
    expect(modes).toEqual([0o700, 0o700, 0o700, 0o700]);
    expect(statSync(cache).uid).toBe(process.getuid?.());
  });

  test("a hit runs no compiler at all, in this process or the next", async () => {
    const count = fresh("count");
    const env = { CC: wrapper(`echo x >> '${count}'`), DOWNHILL_CACHE: cache };
    const program = `
      import { compileToObject } from "./cache.js";
      console.log(compileToObject(${JSON.stringify(writes(46))}).cached);`;
    const runs = () => readFileSync(count, "utf8").length / 2;
    expect((await child(program, env)).out).toBe("false\n");
    const cold = runs();
    expect(cold).toBeGreaterThan(0);
    expect((await child(program, env)).out).toBe("true\n");
    expect(runs()).toBe(cold);
  });

  test.each([
    [
      "a flipped bit",
      (path: string) => {
        const bytes = readFileSync(path);
        bytes[bytes.length >> 1]! ^= 1;
        writeFileSync(path, bytes);
      },
    ],
    ["half of it", (path: string) => truncateSync(path, statSync(path).size >> 1)],
    ["nothing of it", (path: string) => truncateSync(path, 0)],
  ])("an entry with %s left is built again", (_, damage) => {
    const { path } = compileToObject(writes(47));
    damage(path);
    const again = compileToObject(writes(47));
    expect(again).toMatchObject({ cached: false, path });
    expect(written(again.path)).toBe(47);
  });

  test("four processes at once into an empty cache agree", async () => {
    const program = `
      import { loadBinding } from "./binding.js";
      import { compileToObject } from "./cache.js";
      import { NativeBlock } from "./memory.js";
      const binding = loadBinding(), out = new NativeBlock(4);
      for (const text of ${JSON.stringify([writes(48), writes(49)])}) {
        binding.call(binding.sym(binding.open(compileToObject(text).path), "dh_write"), out.address, 0, 0);
        console.log(new Int32Array(out.view())[0]);
      }`;
    const ended = await Promise.all([1, 2, 3, 4].map(() => child(program, { DOWNHILL_CACHE: cache })));
    for (const { status, out, err } of ended)
      expect({ status, out, err }).toEqual({ status: 0, out: "48\n49\n", err: "" });
    expect(objects()).toHaveLength(3); // two programs and the binding
    expect(cacheReport().objects).toBe(3);
    expect(leftovers()).toEqual([]);
  });

  test("a process killed in the middle of a compilation leaves nothing that is taken for a result", async () => {
    const env = {
      CC: wrapper('case "$*" in *trial*|*--version*|*-dM*) ;; *) echo half > object.so; kill -9 $PPID; exit 1;; esac'),
      DOWNHILL_CACHE: cache,
    };
    const program = `import { compileToObject } from "./cache.js"; compileToObject(${JSON.stringify(writes(50))});`;
    expect((await child(program, env)).signal).toBe("SIGKILL");
    expect(leftovers()).toHaveLength(1);
    expect(existsSync(join(cache, "objects"))).toBe(false);
    expect(written(compileToObject(writes(50)).path)).toBe(50);
  });

  test("text that does not compile is kept, named and shown", () => {
    const broken = "void dh_broken(void) { return 1 +; }";
    const message = thrown(() => compileToObject(broken));
    expect(message).toMatch(/^native: .* could not compile the C text of a program/);
    expect(message).toContain("error: expected expression");
    const kept = message.match(/kept in (\S+)/)?.[1] ?? "";
    expect(kept.startsWith(cache)).toBe(true);
    expect(readFileSync(kept, "utf8")).toBe(broken);
    expect(leftovers()).toEqual([]);
    expect(existsSync(join(cache, "objects"))).toBe(false);
  });

  test("of several sources, the messages of those that failed are shown", () => {
    const message = thrown(() => compileToObject([{ text: "int dh_fine;" }, { text: "int dh_broken = ;" }]));
    expect(message).toMatch(/-1\.c:1:\d+: error/);
  });

  test.each([
    ["the compiler", "kill -9 $$"],
    ["a program that it runs", 'echo "cc: fatal error: Killed signal terminated program cc1" >&2; exit 1'],
  ])("where the system ends %s, that is said, and the text is not to blame", async (_, end) => {
    const env = { CC: wrapper(`case "$*" in *trial*|*--version*|*-dM*) ;; *) ${end};; esac`), DOWNHILL_CACHE: cache };
    for (const sources of [writes(55), [{ text: writes(55) }, { text: "int dh_rest;" }]]) {
      const program = `import { compileToObject } from "./cache.js"; compileToObject(${JSON.stringify(sources)});`;
      const { status, err } = await child(program, env);
      expect(status).toBe(1);
      expect(err).toMatch(/native: .* was ended before it had compiled a program: .*(Killed|SIGKILL)/);
      expect(err).toContain("hint: where memory is short");
    }
    expect(readdirSync(cache).sort()).toEqual(["compilers"]);
  });

  test("Ctrl-C ends several compilers as it ends one", async () => {
    const env = {
      CC: wrapper(`case "$*" in *" -c "*) kill -INT $$; touch '${cache}/survived';; esac`),
      DOWNHILL_CACHE: cache,
    };
    const program = `
      import { compileToObject } from "./cache.js";
      compileToObject(${JSON.stringify([{ text: writes(55) }, { text: "int dh_rest;" }])});`;
    const { status, err } = await child(program, env);
    expect(status).not.toBe(0);
    expect(err).toContain("was ended before it had compiled a program");
    expect(readdirSync(cache)).not.toContain("survived");
  });

  test("a full disk moves the work to a temporary folder, and is said once", async () => {
    const env = {
      CC: wrapper(
        `case "$*" in *trial*) ;; *-shared*) case "$PWD" in '${cache}'*) echo "cc1: fatal error: error writing to ` +
          `x.s: No space left on device" >&2; exit 1;; esac;; esac`,
      ),
      DOWNHILL_CACHE: cache,
    };
    const program = `
      import { existsSync } from "node:fs";
      import { compileToObject } from "./cache.js";
      const texts = ${JSON.stringify([writes(51), writes(52)])};
      for (const text of [...texts, ...texts]) {
        const { path, cached } = compileToObject(text);
        console.log(path.startsWith(${JSON.stringify(cache)}), existsSync(path), cached);
      }
      console.log(path(compileToObject(texts[0]).path));
      function path(p) { return p.split("/objects/")[0]; }`;
    const { status, out, err } = await child(program, env);
    const lines = out.trim().split("\n");
    expect(lines.slice(0, 4)).toEqual(["false true false", "false true false", "false true true", "false true true"]);
    expect(err.match(/DownhillWarning/g)).toHaveLength(1);
    expect(err).toContain("no space left on device");
    expect(status).toBe(0);
    expect(existsSync(lines[4] ?? "")).toBe(false); // gone with its process
    expect(leftovers()).toEqual([]);
    expect(existsSync(join(cache, "objects"))).toBe(false);
  });

  test("several compilers say so as well: no message of theirs has to be written there", async () => {
    const env = {
      CC: wrapper(
        `case "$*" in *" -c "*) case "$PWD" in '${cache}'*) [ -f /dev/stderr ] || echo "cc1: fatal error: error ` +
          `writing to x.s: No space left on device" >&2; exit 1;; esac;; esac`,
      ),
      DOWNHILL_CACHE: cache,
    };
    const sources = [{ text: writes(54) }, { text: "int dh_more;" }];
    const { status, out } = await child(
      `import { compileToObject } from "./cache.js";
      console.log(compileToObject(${JSON.stringify(sources)}).path);`,
      env,
    );
    expect(status).toBe(0);
    expect(out.startsWith(cache)).toBe(false);
    expect(existsSync(join(cache, "failed"))).toBe(false);
  });

  const warned = `
    import { compileToObject } from "./cache.js";
    console.log(compileToObject(${JSON.stringify(writes(53))}).path);`;

  test("a folder that others can write to is not trusted", async () => {
    expect(trustedFolder()).toBe(cache);
    expect(statSync(cache).mode & 0o777).toBe(0o700);
    chmodSync(cache, 0o777);
    expect(trustedFolder()).toBeUndefined();
    const { status, out, err } = await child(warned, { DOWNHILL_CACHE: cache });
    expect(status).toBe(0);
    expect(out.startsWith(cache)).toBe(false);
    expect(err).toContain("others can write to it (mode 777)");
    expect(readdirSync(cache)).toEqual([]);
  });

  test.skipIf(process.getuid?.() !== 0)("nor is one of somebody else", async () => {
    const program = `
      import { chownSync, mkdirSync } from "node:fs";
      mkdirSync(${JSON.stringify(cache)});
      chownSync(${JSON.stringify(cache)}, 12345, 12345);`;
    await child(program);
    const { status, out, err } = await child(warned, { DOWNHILL_CACHE: cache });
    expect(status).toBe(0);
    expect(out.startsWith(cache)).toBe(false);
    expect(err).toContain("it belongs to user 12345");
  });

  test("a folder that cannot be made is replaced by a temporary one", async () => {
    writeFileSync(cache, "a file");
    const { status, out, err } = await child(warned, { DOWNHILL_CACHE: join(cache, "below") });
    expect(status).toBe(0);
    expect(out.startsWith(cache)).toBe(false);
    expect(err).toMatch(/not a directory.*set DOWNHILL_CACHE/s);
  });

  test.skipIf(process.platform !== "linux")("nor where nobody can make one", async () => {
    const { status, out, err } = await child(warned, { DOWNHILL_CACHE: "/proc/downhill/cache" });
    expect(status).toBe(0);
    expect(out).not.toContain("/proc");
    expect(err).toMatch(/cannot be kept in \/proc.*no such file or directory/s);
  });

  test.each([
    ["DOWNHILL_CACHE", (root: string) => ({ DOWNHILL_CACHE: root, XDG_CACHE_HOME: "/x" }), ""],
    ["XDG_CACHE_HOME", (root: string) => ({ DOWNHILL_CACHE: undefined, XDG_CACHE_HOME: root }), "downhill"],
    [
      "HOME",
      (root: string) => ({ DOWNHILL_CACHE: undefined, XDG_CACHE_HOME: undefined, HOME: root }),
      process.platform === "darwin" ? "Library/Caches/downhill" : ".cache/downhill",
    ],
    [
      "HOME, for a relative XDG_CACHE_HOME",
      (root: string) => ({ DOWNHILL_CACHE: undefined, XDG_CACHE_HOME: "x", HOME: root }),
      process.platform === "darwin" ? "Library/Caches/downhill" : ".cache/downhill",
    ],
  ])("its place follows %s", async (_, env, below) => {
    const program = `import { cacheReport } from "./cache.js"; console.log(cacheReport().folder);`;
    expect((await child(program, env(cache))).out).toBe(`${join(cache, below)}\n`);
  });

  test("what was not used for 60 days goes, at most once a day", () => {
    const [old, young] = [compileToObject(writes(54)).path, compileToObject(writes(55)).path];
    const aged = (path: string, days: number) =>
      utimesSync(path, Date.now() / 1000 - days * DAY, Date.now() / 1000 - days * DAY);
    aged(old, 61);
    aged(young, 59);
    mkdirSync(join(cache, "work-dead"));
    aged(join(cache, "work-dead"), 2);
    compileToObject(writes(56));
    expect(existsSync(old)).toBe(true); // already pruned today
    aged(join(cache, "pruned"), 1.5);
    compileToObject(writes(57));
    expect([existsSync(old), existsSync(young)]).toEqual([false, true]);
    expect(objects()).toHaveLength(3); // the folder of the old one went with it
    expect(leftovers()).toEqual([]);
  });

  test("a use makes an entry young again", () => {
    const { path } = compileToObject(writes(58));
    utimesSync(path, Date.now() / 1000 - 59 * DAY, Date.now() / 1000 - 59 * DAY);
    expect(compileToObject(writes(58)).cached).toBe(true);
    expect(Date.now() - statSync(path).mtimeMs).toBeLessThan(DAY * 1000);
  });

  test("the report counts what is there", () => {
    expect(cacheReport()).toEqual({ folder: cache, objects: 0, programs: 0, bytes: 0 });
    const { path } = compileToObject(writes(59));
    expect(cacheReport()).toEqual({ folder: cache, objects: 1, programs: 0, bytes: statSync(path).size });
    mkdirSync(join(cache, "programs"));
    writeFileSync(join(cache, "programs", "key.json"), "kept");
    expect(cacheReport()).toEqual({ folder: cache, objects: 1, programs: 1, bytes: statSync(path).size + 4 });
    rmSync(cache, { recursive: true });
    expect(compileToObject(writes(59)).cached).toBe(false); // the cache may be deleted at any time
  });
});

function thrown(body: () => unknown): string {
  try {
    body();
  } catch (problem) {
    return problem instanceof Error ? problem.message : String(problem);
  }
  throw new Error("nothing was thrown");
}
