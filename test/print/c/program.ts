/**
 * Runs printed C as a program of its own: the system's compiler, a temporary folder, binary in and binary out.
 */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { kernelLibrary } from "../../../src/print/c/gemm/library.ts";

/** A way to compile: which vectors the text may use, and which machine it is compiled for. */
export type Target = {
  readonly name: string;
  readonly cc: string;
  readonly lanes: number;
  readonly flags: readonly string[];
};

const execute = promisify(execFile);

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

/**
 * Compiles `source` with the flags of the native backend, feeds it `input` and returns what it writes. `optimise` is for
 * what was printed; what that calls of the library of kernels is compiled as for a product on this machine, and for what
 * this machine would not use only as far as it takes to be right.
 */
export async function runProgram(
  target: Target,
  source: string,
  input: Uint8Array,
  optimise: "-O1" | "-O2" | "-O3",
): Promise<Buffer> {
  const folder = mkdtempSync(join(tmpdir(), "downhill-test-"));
  const compile = (...rest: string[]) => execute(target.cc, [...target.flags, ...mathFlags, "-w", ...rest]);
  const kernels = (["f32", "f64"] as const).flatMap((dtype) => kernelLibrary(dtype, target.lanes, 1, source));
  try {
    const objects = [source, ...kernels].map(async (text, i) => {
      const [file, object] = ["c", "o"].map((end) => join(folder, `${i}.${end}`)) as [string, string];
      writeFileSync(file, text);
      await compile(i === 0 ? optimise : target === targets[0] ? "-O2" : "-O1", "-c", file, "-o", object);
      return object;
    });
    const program = join(folder, "main");
    await compile(...(await Promise.all(objects)), "-o", program, "-lm");
    return execFileSync(program, { input, maxBuffer: 1 << 30 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
