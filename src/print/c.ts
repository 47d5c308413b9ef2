/**
 * The C target: header-free C for gcc and clang. Elementary functions are our own vectorisable ones for f32 and libm's
 * for f64; matrix products are printed by c/gemm.ts into a unit of their own, which is compiled beside this one.
 */
import type { Buffer, Contraction, Program } from "../compile/program.ts";
import { type DType, isFloat } from "../ir/dtype.ts";
import type { Expr } from "../ir/expr.ts";
import { bytesOf } from "../ir/value.ts";
import { gemmPrelude, printGemm } from "./c/gemm.ts";
import { type MathFunction, mathFunctions, mathPrelude } from "./c/math.ts";
import { functions, type Pointer, type Printed, printKernel, type Target } from "./target.ts";

const types: Record<DType, string> = {
  f32: "float",
  f64: "double",
  i32: "int",
  u32: "unsigned",
  bool: "unsigned char",
};

/** The spellings, and which elementary functions they have used. */
function target(used: Set<MathFunction>): Target {
  const call = (f: MathFunction) => (d: DType, a: string) => {
    used.add(f);
    return `${mathFunctions[f][d as "f32" | "f64"]}(${a})`;
  };
  const suffix = (d: DType) => (d === "f32" ? "f" : "");
  return {
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
    load: (p, at) => `${p}[${at}]`,
    store: (p, at, v) => `${p}[${at}] = ${v};`,
    declare: (name, v, d, mutable) => `${mutable ? "" : "const "}${types[d]} ${name} = ${v};`,
    loop: (l) => {
      const { from, to } = "n" in l ? { from: "0", to: `${l.n}` } : l;
      return `for (int ${l.name} = ${from}; ${l.name} < ${to}; ${l.name}++) {`;
    },
    // Only here may the compiler reorder: with -fassociative-math it would also undo (x − 1000) − log 3.
    freeOrder: (accumulators) => `#pragma omp simd reduction(+ : ${accumulators.join(", ")})`,
  };
}

/** The nearest float, so that no compiler has to round; beyond the range it is an infinity. */
function single(v: number): string {
  const f = Math.fround(v);
  if (!Number.isFinite(f)) return `${f < 0 ? "-" : ""}__builtin_inff()`;
  return `${Object.is(f, -0) ? "-0.0" : f.toExponential()}f`;
}

/** A literal that is safe to divide by. */
const positive = (text: string) => /^[1-9]\d*u?$/.test(text);

const helpers = `static inline float dh_max_f32(float a, float b) { return a > b || a != a ? a : b; }
static inline double dh_max_f64(double a, double b) { return a > b || a != a ? a : b; }
static inline int dh_div_i32(int a, int b) { return b == 0 ? 0 : b == -1 ? (int)-(unsigned)a : a / b; }
static inline unsigned dh_div_u32(unsigned a, unsigned b) { return b == 0 ? 0 : a / b; }
static inline int dh_clamp(int i, int last) { return i < 0 ? 0 : i > last ? last : i; }
static inline float dh_bf16(float x) {
  union { float f; unsigned i; } u; u.f = x;
  u.i = x != x ? 0x7fc00000u : (u.i + 0x7fffu + (u.i >> 16 & 1u)) & 0xffff0000u;
  return u.f;
}
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
 * Two units of C, and how much scratch memory they need. The entry point is
 *   void dh_run(char **memory, double *steps, volatile int *stop)
 * memory: state, temporaries, scratch, then resident data, feeds and outputs in their order. steps[0] is how many to
 * take, steps[1] becomes how many were taken: fewer when *stop becomes non-zero or the watched output is not finite.
 */
export function printC(program: Program, lanes: number) {
  const { named } = program;
  const used = new Set<MathFunction>();
  const t = target(used);
  const products = printProducts(
    program.kernels.filter((k) => k.kind === "contraction"),
    lanes,
  );
  const { calls, bodies } = functions(
    program.kernels.filter((k) => k.kind !== "contraction"),
    (k) => printKernel(k, named, t),
    (p) => `(${p.pointers.map(parameter).join(", ")}) {\n${p.body}\n}`,
  );
  const lists = ["state", "temporary", "scratch"];
  const first = {
    resident: 3,
    feed: 3 + program.resident.length,
    output: 3 + program.resident.length + program.feeds.length,
  };
  const address = (b: Buffer): string => {
    if (b.role === "state" || b.role === "temporary") return `memory[${lists.indexOf(b.role)}] + ${b.at}`;
    const base = `memory[${first[b.role] + b.at}]`;
    return b.role === "resident" ? base : `${base} + s * ${bytesOf(b)}L`;
  };
  const pointer = (b: Buffer) => `(${types[b.dtype]} *)(${address(b)})`;
  const called = new Map<unknown, string>(
    calls.map((c) => [c.kernel, `${c.name}(${c.printed.pointers.map((p: Pointer) => pointer(p.buffer)).join(", ")});`]),
  );
  const steps = program.kernels.map((k) => {
    if (k.kind !== "contraction") return `    ${called.get(k)}`;
    const shifted = (x: Pick<Contraction["a"], "buffer" | "at">) => `${pointer(x.buffer)} + ${shift(x.at)}`;
    const type = types[k.c.buffer.dtype];
    const inner = `${products.names.get(k)}(${shifted(k.a)}, ${shifted(k.b)}, ${shifted(k.c)}, (${type} *)memory[2]);`;
    return `    ${k.loops.map((l) => t.loop(l)).join(" ")} ${inner} ${k.loops.map(() => "}").join(" ")}`;
  });
  const w = program.watch === undefined ? undefined : program.outputs[program.watch]!;
  const main = [
    "void dh_run(char **memory, double *steps, volatile int *stop) {",
    "  const long n = (long)steps[0];",
    "  long s = 0;",
    "  const dh_mode before = dh_flush();",
    "  for (; s < n && !*stop; s++) {",
    ...steps,
    ...(w ? [`    if (!dh_finite_${w.dtype}(*${pointer(w)})) { s++; break; }`] : []),
    "  }",
    "  dh_restore(before);",
    "  steps[1] = (double)s;",
    "}",
  ];
  const apart = calls.length > FEW ? "__attribute__((noinline)) " : "";
  const kernels = bodies.map(({ name, text }) => `static ${apart}void ${name}${text}`);
  return {
    units: [
      {
        text: [helpers, mode, mathPrelude(used), products.declarations, ...kernels, ...main, ""].join("\n"),
        optimize: "-O3" as const,
      },
      ...(products.text ? [{ text: products.text, optimize: "-O2" as const }] : []),
    ],
    scratchBytes: products.scratchBytes,
  };
}

/**
 * A program of so few kernels is compiled as one function, which saves a step of nanoseconds its calls. In a larger one
 * calls cost nothing that could be measured, and compiling it whole takes two to three times as long.
 */
const FEW = 40;

const parameter = ({ buffer, written }: Printed["pointers"][number], n: number) =>
  `${written ? "" : "const "}${types[buffer.dtype]} *restrict p${n}`;

/** Matrix products by shape: equal ones are one function. */
function printProducts(contractions: readonly Contraction[], lanes: number) {
  const byShape = new Map<string, string>();
  const names = new Map<Contraction, string>();
  const texts: string[] = [];
  const declarations: string[] = [];
  let scratchBytes = 0;
  for (const k of contractions) {
    const dtype = k.c.buffer.dtype as "f32" | "f64";
    const shape = { dtype, m: k.m, n: k.n, sum: k.sum, a: k.a.stride, b: k.b.stride, c: k.c.strides, lanes };
    const key = JSON.stringify(shape);
    let name = byShape.get(key);
    if (!name) {
      name = `dh_product${byShape.size}`;
      byShape.set(key, name);
      const printed = printGemm({ name: `${name}_body`, ...shape });
      scratchBytes = Math.max(scratchBytes, printed.scratchBytes);
      const type = types[dtype];
      const signature = `void ${name}(const ${type} *a, const ${type} *b, ${type} *c, ${type} *scratch)`;
      declarations.push(`${signature};`);
      texts.push(`${printed.text}\n${signature} { ${name}_body(a, b, c, scratch); }`);
    }
    names.set(k, name);
  }
  const text = texts.length ? [gemmPrelude(lanes), ...texts, ""].join("\n") : "";
  return { names, text, declarations: declarations.join("\n"), scratchBytes };
}

/** A shift by outer loops, in elements. */
const shift = (e: Expr): string =>
  e.op === "const"
    ? `${e.arg}L`
    : e.op === "var"
      ? `${e.arg}`
      : `(${shift(e.src[0]!)} ${e.op === "mul" ? "*" : "+"} ${shift(e.src[1]!)})`;
