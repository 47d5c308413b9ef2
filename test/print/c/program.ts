/**
 * Runs printed C as a program of its own: the system's compiler, a temporary folder, binary in and binary out.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kernelLibrary } from "../../../src/print/c/gemm/library.ts";

/** A way to compile: which vectors the text may use, and which machine it is compiled for. */
export type Target = {
  readonly name: string;
  readonly cc: string;
  readonly lanes: number;
  readonly flags: readonly string[];
};

const mathFlags = ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fopenmp-simd"];

/** What the compiler's own macros say for these flags, or "" where it does not run. */
export function macros(cc: string, flags: readonly string[]): string {
  try {
    return execFileSync(cc, [...flags, "-dM", "-E", "-x", "c", "/dev/null"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return "";
  }
}

/** Every target that compiles here and whose instructions this machine has; empty without a compiler. */
export const targets: readonly Target[] = ["cc", "clang"].flatMap((cc) => {
  const plain = macros(cc, []);
  if (!plain) return [];
  if (!plain.includes("__x86_64__")) return [{ name: `${cc}, plain`, cc, lanes: 4, flags: [] }];
  const native = macros(cc, ["-march=native"]);
  const wide = ["-march=native", "-mprefer-vector-width=512"];
  return [
    ...(native.includes("__AVX512F__") ? [{ name: `${cc}, AVX-512`, cc, lanes: 16, flags: wide }] : []),
    ...(native.includes("__AVX2__") ? [{ name: `${cc}, AVX2`, cc, lanes: 8, flags: ["-march=x86-64-v3"] }] : []),
    { name: `${cc}, x86-64`, cc, lanes: 4, flags: ["-march=x86-64"] },
  ];
});

/** Compiles `source` with the flags of the native backend, feeds it `input` and returns what it writes. */
export function runProgram(target: Target, source: string, input: Uint8Array, optimise: "-O2" | "-O3"): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "downhill-test-"));
  try {
    // What it calls of the library of kernels goes with it.
    const kernels = (["f32", "f64"] as const).flatMap((dtype) => kernelLibrary(dtype, target.lanes, 1, source));
    const units = [source, ...kernels].map((text, i) => {
      const file = join(folder, `${i}.c`);
      writeFileSync(file, text);
      return file;
    });
    const program = join(folder, "main");
    execFileSync(target.cc, [optimise, ...target.flags, ...mathFlags, "-w", ...units, "-o", program, "-lm"]);
    return execFileSync(program, { input, maxBuffer: 1 << 30 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
