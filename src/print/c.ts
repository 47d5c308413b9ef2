/**
 * The C target: header-free C for gcc and clang. Elementary functions are our own vectorisable ones for f32 and libm's
 * for f64; matrix products are printed by c/gemm.ts into a unit of their own, which is compiled beside this one.
 */
import type { Program } from "../compile/program.ts";
import { type DType, isFloat } from "../ir/dtype.ts";
import { isHalf } from "../ir/half.ts";
import type { Bf16 } from "./c/bf16.ts";
import { Clock } from "./c/clock.ts";
import { halves } from "./c/halves.ts";
import { type MathFunction, mathFunctions, mathPrelude } from "./c/math.ts";
import { Products } from "./c/products.ts";
import { roots } from "./c/roots.ts";
import { entry, Kernels } from "./c/step.ts";
import { multiplyAdds, types } from "./c/types.ts";
import { LANE } from "./strips.ts";
import type { Strips, Target } from "./target.ts";

/** The spellings, and which elementary functions they have used. */
function target(used: Set<MathFunction>, lanes: number): Target {
  const call = (f: MathFunction) => (d: DType, a: string) => {
    used.add(f);
    return `${mathFunctions[f][d as "f32" | "f64"]}(${a})`;
  };
  const suffix = (d: DType) => (d === "f32" ? "f" : "");
  const c: Target = {
    ops: {
      exp: call("exp"),
      expm1: call("expm1"),
      log: call("log"),
      log1p: call("log1p"),
      sin: call("sin"),
      cos: call("cos"),
      tanh: call("tanh"),
      erf: call("erf"),
      sqrt: (d, a) => `__builtin_sqrt${suffix(d)}(${a})`,
      floor: (d, a) => `__builtin_floor${suffix(d)}(${a})`,
      bf16: (_, a) => `dh_bf16(${a})`,
      f16: (_, a) => `dh_f16(${a})`,
      cast: (d, a, _b, _c, to) => {
        if (to === "bool") return `(${a} != 0)`;
        // C leaves a negative float undefined as unsigned; through 64 bits it wraps, as in JavaScript.
        return to === "u32" && isFloat(d) ? `((unsigned)(long long)(${a}))` : `((${types[to]})(${a}))`;
      },
      add: (_, a, b) => `(${a} + ${b})`,
      mul: (_, a, b) => `(${a} * ${b})`,
      // An integer division by 0 ends the process, and so does the smallest int by −1; both have a result here.
      div: (d, a, b) => (d === "f32" || d === "f64" || positive(b) ? `(${a} / ${b})` : `dh_div_${d}(${a}, ${b})`),
      // fmaxf would drop a NaN, and a NaN is what a diagnosis looks for.
      max: (d, a, b) => (d === "f32" || d === "f64" ? `dh_max_${d}(${a}, ${b})` : `(${a} > ${b} ? ${a} : ${b})`),
      lt: (_, a, b) => `(${a} < ${b})`,
      le: (_, a, b) => `(${a} <= ${b})`,
      eq: (_, a, b) => `(${a} == ${b})`,
      xor: (_, a, b) => `(${a} ^ ${b})`,
      shr: (_, a, b) => `(${a} >> (${b} & 31))`,
      where: (_, c, a, b) => `(${c} ? ${a} : ${b})`,
      mod: (_, a, b) => `(${a} % ${b})`,
      and: (_, a, b) => `(${a} && ${b})`,
      clamp: (_, a, b) => `dh_clamp(${a}, ${b})`,
    },
    literal: (v, d) => {
      if (d === "u32") return v === -Infinity ? "0u" : `${v}u`;
      if (d === "i32") return v <= -2147483648 ? "(-2147483647 - 1)" : `${v}`;
      if (d === "bool") return `${+!!v}`;
      if (Number.isNaN(v)) return `__builtin_nan${suffix(d)}("")`;
      if (!Number.isFinite(v)) return `${v < 0 ? "-" : ""}__builtin_inf${suffix(d)}()`;
      return d === "f32" ? single(v) : `${Object.is(v, -0) ? "-0.0" : v.toExponential()}`;
    },
    load: (p, at, s) => (isHalf(s) ? `dh_from_${s}(${p}[${at}])` : `${p}[${at}]`),
    store: (p, at, v, s) => `${p}[${at}] = ${isHalf(s) ? `dh_${s}_bits(${v})` : v};`,
    declare: (name, v, d, mutable) => `${mutable ? "" : "const "}${types[d]} ${name} = ${v};`,
    loop: (l) => {
      const { from, to } = "n" in l ? { from: "0", to: `${l.n}` } : l;
      return `for (int ${l.name} = ${from}; ${l.name} < ${to}; ${l.name}++) {`;
    },
    fold: ({ name, join, zero, value: { dtype: d } }) => {
      const start = `${types[d]} ${name} = ${c.literal(zero, d)};`;
      if (join === "add")
        return { start: [start], step: (v) => `${name} += ${v};`, end: [], clauses: [`reduction(+ : ${name})`] };
      const larger = (v: string) => `${name} = ${name} > ${v} ? ${name} : ${v};`;
      const clause = `reduction(max : ${name})`;
      if (!isFloat(d)) return { start: [start], step: larger, end: [], clauses: [clause] };
      // A maximum in lanes loses a NaN; whether there was one is a reduction of its own.
      const nan = `nan_${name}`;
      return {
        start: [start, `int ${nan} = 0;`],
        step: (v) => `${larger(v)} ${nan} |= ${v} != ${v};`,
        end: [`${name} = ${nan} ? ${c.literal(Number.NaN, d)} : ${name};`],
        clauses: [clause, `reduction(| : ${nan})`],
      };
    },
    // Only here may the compiler reorder: with -fassociative-math it would also undo (x − 1000) − log 3.
    freeOrder: (clauses) => `#pragma omp simd ${clauses.join(" ")}`,
    multiplyAdd: (d, a, b, c) => `dh_fma_${d}(${a}, ${b}, ${c})`,
    rolled: "#pragma GCC unroll 1",
    strips: lanes === 16 ? strips : { ...strips, roots: undefined },
  };
  return c;
}

const strips: Strips = {
  lanes: 16,
  loop: (from, to, name) => `for (int ${name} = ${from}; ${name} + 16 <= ${to}; ${name} += 16) {`,
  inner: ["#pragma omp simd", `for (int ${LANE} = 0; ${LANE} < 16; ${LANE}++) {`],
  array: (name) => `float ${name}[16];`,
  roots: (name) => `dh_roots(${name});`,
  ahead: (p, at, written) => `${written ? "DH_OWN_AHEAD" : "DH_AHEAD"}(${p} + ${at});`,
  farAhead: (p, at) => `DH_FAR_AHEAD(${p} + ${at});`,
};

/** The nearest float, so that no compiler has to round; beyond the range it is an infinity. */
function single(v: number): string {
  const f = Math.fround(v);
  if (!Number.isFinite(f)) return `${f < 0 ? "-" : ""}__builtin_inff()`;
  return `${Object.is(f, -0) ? "-0.0" : f.toExponential()}f`;
}

/** A literal that is safe to divide by. */
const positive = (text: string) => /^[1-9]\d*u?$/.test(text);

const helpers = `${multiplyAdds}#define DH_AHEAD(p) __builtin_prefetch((const void *)((__UINTPTR_TYPE__)(p) + 1024))
#define DH_OWN_AHEAD(p) __builtin_prefetch((const void *)((__UINTPTR_TYPE__)(p) + 1024), 1)
#define DH_FAR_AHEAD(p) __builtin_prefetch((const void *)((__UINTPTR_TYPE__)(p) + 4096), 0, 2)
static inline float dh_max_f32(float a, float b) { const float m = a > b ? a : b; return a != a ? a : m; }
static inline double dh_max_f64(double a, double b) { const double m = a > b ? a : b; return a != a ? a : m; }
static inline int dh_div_i32(int a, int b) { return b == 0 ? 0 : b == -1 ? (int)-(unsigned)a : a / b; }
static inline unsigned dh_div_u32(unsigned a, unsigned b) { return b == 0 ? 0 : a / b; }
static inline int dh_clamp(int i, int last) { return i < 0 ? 0 : i > last ? last : i; }
static inline int dh_finite_f32(float x) { union { float f; unsigned i; } u; u.f = x; return (u.i & 0x7f800000u) != 0x7f800000u; }
static inline int dh_finite_f64(double x) { union { double f; unsigned long long i; } u; u.f = x; return (u.i & 0x7ff0000000000000ull) != 0x7ff0000000000000ull; }
`;

/**
 * Results below the normal floats become 0 while a program runs, and only then. Averages of an optimizer decay into
 * denormals wherever gradients have stopped, as behind a dead ReLU, and each one costs a processor some hundred cycles:
 * a step became 20 times slower. The thread's own mode is put back before anybody else computes on it.
 */
const mode = `#if defined(__SSE__)
typedef unsigned dh_mode;
static inline dh_mode dh_flush(void) { dh_mode m = __builtin_ia32_stmxcsr(); __builtin_ia32_ldmxcsr(m | 0x8000u); return m; }
static inline void dh_restore(dh_mode m) { __builtin_ia32_ldmxcsr(m); }
#elif defined(__aarch64__)
typedef unsigned long dh_mode;
static inline dh_mode dh_flush(void) {
  dh_mode m;
  __asm__ volatile("mrs %0, fpcr" : "=r"(m));
  __asm__ volatile("msr fpcr, %0" : : "r"(m | 1ul << 24));
  return m;
}
static inline void dh_restore(dh_mode m) { __asm__ volatile("msr fpcr, %0" : : "r"(m)); }
#else
typedef int dh_mode;
static inline dh_mode dh_flush(void) { return 0; }
static inline void dh_restore(dh_mode m) { (void)m; }
#endif
`;

/**
 * Units of C, how many bytes of scratch memory each thread needs, and how many bytes of temporaries, those that only C
 * has included. The entry point is
 *   void dh_run(char **memory, double *steps, volatile int *stop)
 * memory: state, temporaries, scratch of all threads, the team, then resident data, feeds and outputs in their order.
 * steps[0] is how many to take, steps[1] becomes how many were taken: fewer when *stop becomes non-zero or the watched
 * output is not finite; steps[2] is how many threads to ask the team for. A program that is not `shared` has nothing to
 * give to a second one. With `clocks`, of so many threads, it tells what each kernel takes on each: see c/clock.ts.
 * `processes` of the compiler can run side by side.
 */
export function printC(program: Program, lanes: number, bf16: Bf16 = "none", { clocks = 0, processes = 2 } = {}) {
  const used = new Set<MathFunction>();
  const products = new Products(lanes, bf16);
  const clock = clocks ? new Clock(program, clocks) : undefined;
  const kernels = new Kernels(program, target(used, lanes), products, clocks > 0);
  const main = entry(program, kernels, products, clock);
  const math = [mathPrelude(used), ...(kernels.texts.some((x) => x.includes("dh_roots(")) ? [roots] : [])];
  const around = [products.declarations, ...(clock ? [clock.text] : [])];
  return {
    units: [
      ...(kernels.declarations
        ? [
            ...inParts(kernels.texts, processes).map((texts) => unit("-O3", [helpers, halves, ...math, ...texts])),
            unit(program.kernels.length > MANY ? "-O0" : "-O1", [
              helpers,
              mode,
              ...around,
              ...kernels.declarations,
              ...main.lines,
            ]),
          ]
        : [unit("-O3", [helpers, halves, mode, ...math, ...around, ...kernels.texts, ...main.lines])]),
      ...(products.text ? [unit("-O2", [products.text])] : []),
    ],
    scratchBytes: main.scratchBytes,
    temporaryBytes: main.temporaryBytes,
    shared: main.shared,
  };
}

/** The steps of so many kernels are a long list of calls: to optimise it takes three times as long and gains nothing. */
const MANY = 40;

/**
 * What it costs to compile a kernel, in characters of its text: gcc takes 15 ms for one of few, and 7 for a thousand more.
 * A unit has so much that starting the compiler for it, some 10 ms, is little.
 */
const [KERNEL, UNIT] = [2000, 10_000];

/** For so many processes of the compiler, which are done at about the same time. */
function inParts(texts: readonly string[], processes: number): string[][] {
  const cost = (text: string) => KERNEL + text.length;
  const most = Math.ceil(texts.reduce((sum, text) => sum + cost(text), 0) / UNIT);
  const parts = Array.from({ length: Math.min(processes, most) }, () => ({ cost: 0, texts: [] as string[] }));
  for (const text of [...texts].sort((a, b) => b.length - a.length)) {
    const part = parts.reduce((least, p) => (p.cost < least.cost ? p : least));
    part.cost += cost(text);
    part.texts.push(text);
  }
  return parts.filter((p) => p.cost > 0).map((p) => p.texts);
}

const unit = (optimize: "-O0" | "-O1" | "-O2" | "-O3", parts: readonly string[]) => ({
  text: `${parts.join("\n")}\n`,
  optimize,
});
