/**
 * The C compiler of this machine: which one it is, what it can build, and the flags that C text is compiled with.
 *
 * The compiler itself is asked which instructions it will use (its predefined macros), instead of guessing from the
 * CPU: that is right for -march=native, for an older compiler that does not know the CPU, and for DOWNHILL_MARCH alike.
 * Asking costs three processes (about 0.1 s), so the answer is kept on disk under the identity of compiler and CPU.
 *
 * Tested: Linux on x86-64 with gcc 12. Written from the manuals and untested: macOS, arm64, musl.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { cpus } from "node:os";
import { delimiter, join, resolve } from "node:path";
import type { Bf16 } from "../../print/c/bf16.ts";
import { cacheFolder, inFolder, keepText, NoSpace, reasonOf } from "./folder.ts";

export type Simd = "avx512" | "avx2" | "neon" | "generic";

/** How many f32 values one vector holds. Generic C gets four: every 64-bit target has 16-byte vectors. */
const LANES: Record<Simd, 16 | 8 | 4> = { avx512: 16, avx2: 8, neon: 4, generic: 4 };

/** What multiplies bfloat16, from the least on. */
const UNITS: readonly Bf16[] = ["none", "avx512", "amx"];

export interface Compiler {
  readonly found: true;
  /** Full path of the program, and the words that `CC` puts after it. */
  readonly command: string;
  readonly words: readonly string[];
  /** First line of `--version`, and all of it. */
  readonly version: string;
  readonly fullVersion: string;
  readonly cpu: Cpu;
  readonly simd: Simd;
  /** f32 lanes of one vector. */
  readonly lanes: 16 | 8 | 4;
  /** What compiler and CPU multiply bfloat16 with; for "amx" the process needs the system's leave (tiles.ts). */
  readonly bf16: Bf16;
  readonly flags: Flags;
}

/** Why there is no native code on this machine, and what to do about it: one sentence each. */
export interface NoCompiler {
  readonly found: false;
  readonly reason: string;
  readonly remedy: string;
}

export interface Cpu {
  readonly model: string;
  /** The feature line of /proc/cpuinfo; empty where there is none. */
  readonly features: string;
}

export interface Flags {
  /** For every translation unit: IEEE arithmetic, with multiply and add fused where the text allows it. */
  readonly base: readonly string[];
  /** For the link. */
  readonly link: readonly string[];
}

/** A translation unit. */
export interface Unit {
  readonly text: string;
  readonly optimize: "-O0" | "-O1" | "-O2" | "-O3";
}

const darwin = process.platform === "darwin";

function flagsFor(march: string | undefined, simd: Simd | undefined): Flags {
  const arm = process.arch === "arm64";
  return {
    // No -fassociative-math: it reorders what a user wrote, (x − 1000) − log 3 into x − (1000 + log 3). A sum whose
    // order is free says so in the text. And never -ffast-math: at the link it makes gcc and clang switch denormals off
    // in the whole thread, JavaScript's numbers included; in a unit it allows reciprocal estimates (sigmoid(-200) = NaN)
    // and deletes tests for NaN.
    base: [
      march ? `-march=${march}` : arm ? "-mcpu=native" : "-march=native",
      ...(simd === "avx512" ? ["-mprefer-vector-width=512"] : []), // compilers otherwise stay at 256 bits
      "-std=gnu11", // gcc 15 reads C23 by default, where `bool` and `()` mean something else
      "-fPIC",
      "-fno-semantic-interposition",
      "-w",
      "-fno-math-errno",
      "-fno-trapping-math",
      "-ffp-contract=fast",
      "-fopenmp-simd", // only the pragmas: sums that say so may be vectorised; no run-time library
    ],
    // Symbols bind inside the object (a function `step` was once taken from libc), and the object never leaves the
    // process: threads may still run its code at exit. Mach-O binds this way by itself, and the binding pins what it
    // opens. Elsewhere the libraries that Node itself is linked with, libc and libm, are not named: their symbols are
    // found when the object is loaded, and to read them would take half of the link's 20 ms.
    link: darwin
      ? ["-shared", "-pthread", "-lm"]
      : ["-shared", "-nostdlib", "-Wl,-Bsymbolic", "-Wl,-z,nodelete", "-lgcc"],
  };
}

let first: Cpu | undefined;

/** Model and feature line of the first processor. Read once: the kernel asks each processor for it, about 1 ms. */
export function processor(): Cpu {
  first ??= readProcessor();
  return first;
}

/** From the start of /proc/cpuinfo: all of it is slow with many cores. */
function readProcessor(): Cpu {
  try {
    const file = openSync("/proc/cpuinfo", "r");
    try {
      const bytes = Buffer.alloc(8192);
      const text = bytes.toString("latin1", 0, readSync(file, bytes)).split("\n\n")[0] ?? "";
      const line = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(text)?.[1]?.trim();
      const part = ["CPU implementer", "CPU part", "CPU variant"]
        .map((name) => line(name) ?? "")
        .join(" ")
        .trim(); // arm
      return { model: line("model name") ?? part, features: line("flags") ?? line("Features") ?? "" };
    } finally {
      closeSync(file);
    }
  } catch {
    return { model: cpus()[0]?.model ?? "", features: "" };
  }
}

const remedy = darwin
  ? "install one: xcode-select --install"
  : "install one: apt-get install gcc libc6-dev (Debian), dnf install gcc (Fedora), apk add gcc musl-dev (Alpine)";

const none = (reason: string, what = remedy): NoCompiler => ({ found: false, reason, remedy: what });

let asked: { question: string; answer: Compiler | NoCompiler } | undefined;

/** The compiler of this machine, looked for once: `CC`, else cc, gcc, clang. Never throws. */
export function probeCompiler(): Compiler | NoCompiler {
  const { CC, DOWNHILL_MARCH, DOWNHILL_CACHE, PATH } = process.env;
  const question = JSON.stringify([CC, DOWNHILL_MARCH, DOWNHILL_CACHE, PATH]);
  if (asked?.question !== question) {
    let answer: Compiler | NoCompiler;
    try {
      answer = search(CC?.trim() || undefined, DOWNHILL_MARCH?.trim() || undefined);
    } catch (problem) {
      const [reason = ""] = reasonOf(problem)
        .replace(/^native: /, "")
        .split("\n");
      answer = none(
        `the C compiler could not be tried: ${reason}`,
        "set DOWNHILL_CACHE to a folder of yours with free space",
      );
    }
    asked = { question, answer };
  }
  return asked.answer;
}

function search(cc: string | undefined, march: string | undefined): Compiler | NoCompiler {
  if (process.platform === "win32") {
    return none("the native backend does not know Windows", "use the Windows Subsystem for Linux");
  }
  if (cc) {
    // `CC="ccache gcc"` is customary, and so is a path with a space in it: the whole wins where it exists.
    const [first = "", ...words] = onPath(cc) ? [cc] : cc.split(/\s+/);
    const command = onPath(first);
    if (!command) return none(`no C compiler: CC names \`${first}\`, which was not found`, "correct CC, or unset it");
    return probe(command, words, march);
  }
  let failure: NoCompiler | undefined;
  for (const name of ["cc", "gcc", "clang"]) {
    const command = onPath(name);
    if (!command) continue;
    // On a Mac without the developer tools /usr/bin/cc is a stub that opens a dialog.
    if (darwin && command.startsWith("/usr/bin/") && spawnSync("xcode-select", ["-p"]).status !== 0) continue;
    const answer = probe(command, [], march);
    if (answer.found) return answer;
    failure ??= answer;
  }
  return failure ?? none("no C compiler: none of `cc`, `gcc`, `clang` was found");
}

function onPath(name: string): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const candidates = name.includes("/") ? [resolve(name)] : folders.map((folder) => resolve(folder, name));
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  });
}

/** What the compiler will use of the CPU. */
interface Instructions {
  readonly simd: Simd;
  readonly bf16: Bf16;
}

/** What the compiler said about itself, as kept on disk. */
interface Answer extends Instructions {
  readonly fullVersion: string;
}

function probe(command: string, words: readonly string[], march: string | undefined): Compiler | NoCompiler {
  const cpu = processor();
  const real = realpathSync(command);
  const { mtimeMs, size } = statSync(real);
  const identity = ["probe 2", command, real, mtimeMs, size, ...words, march, cpu.model, cpu.features, process.arch];
  const key = createHash("sha256").update(JSON.stringify(identity)).digest("hex").slice(0, 32);
  const kept = readAnswer(key);
  const answer = kept ?? ask(command, words, march);
  if ("found" in answer) return answer; // failures are not kept: the next process sees the repair
  if (!kept) keepText(answerFile(key), JSON.stringify(answer)); // the next process need not ask
  const { fullVersion, simd, bf16 } = answer;
  return {
    found: true,
    command,
    words,
    version: fullVersion.split("\n")[0] ?? "",
    fullVersion,
    cpu,
    simd,
    lanes: LANES[simd],
    bf16,
    flags: flagsFor(march, simd),
  };
}

const answerFile = (key: string): string => join(cacheFolder(), "compilers", `${key}.json`);

function readAnswer(key: string): Answer | undefined {
  try {
    const { fullVersion, simd, bf16 } = JSON.parse(readFileSync(answerFile(key), "utf8")) as Partial<Answer>;
    const whole = typeof fullVersion === "string" && simd !== undefined && simd in LANES;
    return whole && bf16 !== undefined && UNITS.includes(bf16) ? { fullVersion, simd, bf16 } : undefined;
  } catch {
    return undefined; // missing or damaged: ask again
  }
}

function ask(command: string, words: readonly string[], march: string | undefined): Answer | NoCompiler {
  const version = run(command, [...words, "--version"]);
  const wanted = instructions(command, words, march);
  if ("found" in wanted) return wanted;
  const { simd } = wanted;
  const native = march ? instructions(command, words, undefined) : wanted;
  if (!("found" in native) && LANES[simd] > LANES[native.simd]) {
    return none(`DOWNHILL_MARCH=${march} needs ${simd}, which this CPU does not have`, "unset DOWNHILL_MARCH");
  }
  // The headers are those the binding needs: a gcc without the C library's development files is found out here.
  const trial = "#include <dlfcn.h>\n#include <pthread.h>\nfloat dh_trial(float x) { return 2 * x; }\n";
  const flags = flagsFor(march, simd);
  const tried = (text: string) =>
    inFolder((_, work) => build({ command, words, flags }, [{ text, optimize: "-O2" }], work, "trial"));
  const built = tried(trial);
  if (!built.ok) return none(`\`${command}\` cannot build a shared object: ${firstError(built.message)}`);
  // A compiler may know more instructions than the assembler below it, and DOWNHILL_MARCH more than the CPU.
  const here = "found" in native ? 0 : Math.min(UNITS.indexOf(wanted.bf16), UNITS.indexOf(native.bf16));
  const bf16 = here > 0 && tried(bf16Trial).ok ? UNITS[here]! : "none";
  return { fullVersion: version.status === 0 ? version.stdout.trim() : "version unknown", simd, bf16 };
}

/** It is assembled, never run. */
const bf16Trial = `void dh_trial(void) {
  __asm__ volatile("vdpbf16ps %zmm0, %zmm1, %zmm2");
#ifdef __AMX_BF16__
  __asm__ volatile("tdpbf16ps %tmm0, %tmm1, %tmm2");
#endif
}
`;

/** The widest vectors the compiler will use, and its instructions for bfloat16, from the macros it predefines. */
function instructions(command: string, words: readonly string[], march: string | undefined): Instructions | NoCompiler {
  const asked = run(command, [...words, ...flagsFor(march, undefined).base, "-dM", "-E", "-x", "c", "-"]);
  if (asked.status !== 0) {
    const what = march ? "correct DOWNHILL_MARCH, or unset it" : remedy;
    return none(`\`${command}\` does not work: ${firstError(asked.stderr)}`, what);
  }
  const has = (...names: string[]) => names.every((name) => asked.stdout.includes(`#define __${name}__ `));
  if (has("AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL")) {
    const tiles = has("AMX_TILE", "AMX_BF16") && process.platform === "linux";
    return { simd: "avx512", bf16: has("AVX512BF16") ? (tiles ? "amx" : "avx512") : "none" };
  }
  if (has("AVX2", "FMA")) return { simd: "avx2", bf16: "none" };
  return { simd: has("aarch64") ? "neon" : "generic", bf16: "none" };
}

/** The line of a compiler's output that says most. */
const firstError = (output: string): string => {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  return (lines.find((line) => /error|not found|cannot/i.test(line)) ?? lines[0] ?? "it said nothing").trim();
};

interface Output {
  /** Exit status; null when the program did not end by itself. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One run of the compiler for the probe. One that hangs (a licence server, a dialog) is one that does not work. */
function run(command: string, words: readonly string[]): Output {
  const env = { ...process.env, LC_ALL: "C" };
  const { status, stdout, stderr, error } = spawnSync(command, words, {
    input: "",
    encoding: "utf8",
    env,
    timeout: 30_000,
  });
  return { status: error ? null : status, stdout: stdout ?? "", stderr: error?.message ?? stderr };
}

export type Built =
  | { readonly ok: true; readonly path: string }
  /** `judged`: false where the compiler was ended before it could say anything of the text. */
  | { readonly ok: false; readonly judged: boolean; readonly message: string };

/** What compilers and shells say of one that the system ended, or somebody did. */
const ended = /^(?:.*: )?(?: *\d+ )?(?:Killed|Terminated|Interrupt|CPU time limit exceeded)(?: .*)?$/m;

/** The name of unit `i` of a program inside its work folder. */
export const unitName = (name: string, i: number): string => `${name}-${i}.c`;

/**
 * Compile `units` in the folder `work` and link them to one shared object there. Several units are compiled side by
 * side, one process each. The file names depend on `name` alone, so the same text gives the same object.
 *
 * →       the object, or the compiler's messages, or what ended it
 * Throws what writing to `work` throws, and NoSpace when the compiler could not write there.
 */
export function build(
  compiler: Pick<Compiler, "command" | "words" | "flags">,
  units: readonly Unit[],
  work: string,
  name: string,
  link: readonly string[] = [],
): Built {
  const { command, words, flags } = compiler;
  const object = "object.so";
  const cc = [command, ...words];
  const compile = (unit: Unit) => [...cc, unit.optimize, ...flags.base];
  const linked = ["-o", object, ...flags.link, ...link];
  units.forEach((unit, i) => writeFileSync(join(work, unitName(name, i)), unit.text));
  const [first, ...others] = units;
  let script: string;
  if (first && others.length === 0) {
    script = `exec ${shell([...compile(first), unitName(name, 0), ...linked])}`;
  } else {
    // As the parts of one pipe, through which nothing goes: a shell lets what it starts by "&" ignore Ctrl-C. Messages are
    // not written to files: a compiler that finds the disk full could not say so in one.
    const all = units.map((unit, i) => {
      return `{ ${shell([...compile(unit), "-c", unitName(name, i), "-o", `${i}.o`])} && : > ${i}.ok; }`;
    });
    const good = units.map((_, i) => `[ -e ${i}.ok ]`);
    const join = `exec ${shell([...cc, ...units.map((_, i) => `${i}.o`), ...linked])}`;
    script = [all.join(" | "), `${good.join(" && ")} || exit 1`, join].join("\n");
  }
  // The compiler's own temporary files go to `work` too, which is private and is removed whatever happens.
  const env = { ...process.env, LC_ALL: "C", TMPDIR: work };
  const { status, signal, stderr, error } = spawnSync("/bin/sh", ["-c", script], {
    cwd: work,
    encoding: "utf8",
    env,
    maxBuffer: 1 << 26,
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status === 0) return { ok: true, path: join(work, object) };
  // A compiler that finds the disk full has not judged the text.
  if (/no space left on device|disk quota exceeded/i.test(stderr ?? "")) throw new NoSpace("no space left on device");
  const said = stderr?.trim();
  const judged = !!said && !ended.test(said);
  return { ok: false, judged, message: said || error?.message || `it ended with ${signal ?? `status ${status}`}` };
}

/** Words as one line for the shell, each in single quotes. */
const shell = (words: readonly string[]): string => words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
