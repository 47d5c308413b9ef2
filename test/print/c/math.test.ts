/**
 * Elementary functions in C against f64: the bit patterns of all f32 in even steps, the ranges where a network lives in
 * small ones, and the special inputs.
 */
import { describe, expect, test } from "vitest";
import { type MathFunction, mathFunctions, mathPrelude } from "../../../src/print/c/math.ts";
import { runProgram, targets } from "./program.ts";

const names = Object.keys(mathFunctions) as MathFunction[];

/** erf by Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!, all of one sign (Abramowitz & Stegun 7.1.6); 1 from 6 on. */
function erf(x: number): number {
  const a = Math.abs(x);
  if (!(a < 6)) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const reference: Record<MathFunction, (x: number) => number> = {
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  erf,
};

const special = [
  0,
  -0,
  Infinity,
  -Infinity,
  NaN,
  1,
  -1,
  2 ** -149,
  -(2 ** -149),
  1e-40,
  -1e-40,
  2 ** -126,
  3.4028234663852886e38,
  -3.4028234663852886e38,
  88.72283,
  88.72284,
  -87.33655,
  -103.97208,
  -103.97209,
  -104,
  -200,
  200,
  0.6276,
  0.927734375,
  0.35,
  -0.35,
  262143.98,
  262144,
  1e5,
  1e10,
  1e30,
  -1 + 2 ** -24,
  Math.PI,
  Math.PI / 2,
  355,
];

const samples = (() => {
  const bits = new Uint32Array(1 << 16).map((_, i) => i * 65536 + ((i * 40503) & 65535));
  const all = [...special, ...new Float32Array(bits.buffer)];
  for (const range of [2, 20, 110, 1000]) for (let i = 0; i < 40_000; i++) all.push(range * (i / 20_000 - 1));
  return Float32Array.from(all);
})();

/** Size of a unit in the last place of an f32 at r. */
function ulp(r: number): number {
  const a = Math.abs(r);
  return a < 2 ** -126 ? 2 ** -149 : 2 ** (Math.floor(Math.log2(Math.min(a, 3.4e38))) - 23);
}

/** Error of y as f(x) in ulp; Infinity where a NaN, an infinity or the sign of a zero is wrong. */
function error(name: MathFunction, x: number, y: number): number {
  const r = reference[name](x);
  const f = Math.fround(r);
  if (Object.is(y, f)) return Number.isFinite(y) ? Math.abs(y - r) / ulp(r) : 0;
  if (Number.isNaN(r) || Number.isNaN(y)) return Infinity;
  if (name === "exp" && y === 0 && r < 2 ** -126) return 0; // as it is in the mode in which programs run
  if (y === 0 && Math.sign(1 / y) !== (Math.sign(r) || Math.sign(1 / r))) return Infinity;
  // Beyond the largest f32 by a rounding is as good as infinite, and the other way round.
  const bounded = Math.max(-(2 ** 128), Math.min(2 ** 128, y));
  const beyond = (name === "sin" || name === "cos") && Math.abs(x) >= 2 ** 18 ? 4e-10 : 0;
  return Math.max(0, Math.abs(bounded - r) - beyond) / ulp(r);
}

const source = `${mathPrelude(names)}
#include <stdio.h>
#include <stdlib.h>
${names
  .map(
    (name) => `void go_${name}(long n, float *restrict y, const float *restrict x) {
  for (long i = 0; i < n; i++) y[i] = ${mathFunctions[name].f32}(x[i]);
}
void go64_${name}(long n, double *restrict y, const float *restrict x) {
  for (long i = 0; i < n; i++) y[i] = ${mathFunctions[name].f64}((double)x[i]);
}`,
  )
  .join("\n")}
int main(void) {
  enum { n = ${samples.length} };
  static float x[n], y[n];
  static double z[n];
  if (fread(x, 4, n, stdin) != n) return 2;
  ${names.map((name) => `go_${name}(n, y, x); fwrite(y, 4, n, stdout);`).join("\n  ")}
  ${names.map((name) => `go64_${name}(64, z, x); fwrite(z, 8, 64, stdout);`).join("\n  ")}
}
`;

describe.skipIf(targets.length === 0)("elementary functions in C (needs a C compiler)", () => {
  describe.each(targets)("$name", (target) => {
    const results = new Map<MathFunction, { y: Float32Array; z: Float64Array }>();
    test("compile and run", async () => {
      const output = await runProgram(target, source, new Uint8Array(samples.buffer), "-O3");
      const bytes = output.buffer.slice(output.byteOffset, output.byteOffset + output.length);
      const end = names.length * samples.length * 4;
      names.forEach((name, i) =>
        results.set(name, {
          y: new Float32Array(bytes, i * samples.length * 4, samples.length),
          z: new Float64Array(bytes.slice(end + i * 512, end + (i + 1) * 512)),
        }),
      );
      expect(output.length).toBe(end + names.length * 512);
    });

    test.each(names)("%s", (name) => {
      const { y, z } = results.get(name)!;
      let worst = { x: 0, y: 0, ulps: 0 };
      y.forEach((value, i) => {
        const ulps = error(name, samples[i]!, value);
        if (!(ulps <= worst.ulps)) worst = { x: samples[i]!, y: value, ulps };
      });
      expect(worst.ulps, `at ${worst.x}: ${worst.y}`).toBeLessThanOrEqual(mathFunctions[name].ulps);
      z.forEach((value, i) => {
        const r = reference[name](samples[i]!);
        if (Number.isFinite(r)) expect(Math.abs(value - r)).toBeLessThanOrEqual(1e-14 * Math.abs(r));
        else expect(value).toBe(r);
      });
    });
  });
});

test("only what is used is printed, each definition once and after what it needs", () => {
  const text = mathPrelude(["cos", "exp", "sin"]);
  expect(text.match(/dh_sin_f32\(float x\)/g)).toHaveLength(1);
  expect(text.indexOf("dh_sin_f32(float x)")).toBeLessThan(text.indexOf("dh_cos_f32(float x)"));
  expect(text).toContain("dh_exp_f32");
  expect(text).not.toContain("dh_tanh_f32");
  expect(text).not.toContain("#include");
  expect(mathPrelude([])).toBe("");
});
