/**
 * The reference target: JavaScript. Numbers are computed in double and rounded where they are stored, so what separates
 * another target from it is that target's rounding.
 */
import type { Buffer, Contraction, Program } from "../compile/program.ts";
import { storages } from "../ir/dtype.ts";
import type { Expr } from "../ir/expr.ts";
import { halves, isHalf } from "../ir/half.ts";
import { erf } from "../ir/ops.ts";
import { size } from "../ir/shape.ts";
import { bytesOf } from "../ir/value.ts";
import { functions, type Pointer, type Printed, placeOf, printKernel, storageOf, type Target } from "./target.ts";

const js: Target = {
  ops: {
    exp: (_, a) => `Math.exp(${a})`,
    expm1: (_, a) => `Math.expm1(${a})`,
    log: (_, a) => `Math.log(${a})`,
    log1p: (_, a) => `Math.log1p(${a})`,
    sin: (_, a) => `Math.sin(${a})`,
    cos: (_, a) => `Math.cos(${a})`,
    tanh: (_, a) => `Math.tanh(${a})`,
    erf: (_, a) => `erf(${a})`,
    sqrt: (_, a) => `Math.sqrt(${a})`,
    floor: (_, a) => `Math.floor(${a})`,
    bf16: (_, a) => `bf16(${a})`,
    f16: (_, a) => `f16(${a})`,
    cast: (d, a, _b, _c, to) => {
      if (to === "bool") return `(${a} !== 0)`;
      if (to === "i32") return d === "f32" || d === "f64" ? `(Math.trunc(${a}) | 0)` : `(${a} | 0)`;
      return to === "u32" ? `(${a} >>> 0)` : to === "f32" && d === "f64" ? `Math.fround(${a})` : `(+${a})`;
    },
    add: (d, a, b) => (d === "u32" ? `((${a} + ${b}) >>> 0)` : d === "i32" ? `((${a} + ${b}) | 0)` : `(${a} + ${b})`),
    mul: (d, a, b) =>
      d === "u32" ? `(Math.imul(${a}, ${b}) >>> 0)` : d === "i32" ? `Math.imul(${a}, ${b})` : `(${a} * ${b})`,
    div: (d, a, b) =>
      d === "f32" || d === "f64" ? `(${a} / ${b})` : d === "u32" ? `((${a} / ${b}) >>> 0)` : `((${a} / ${b}) | 0)`,
    max: (_, a, b) => `Math.max(${a}, ${b})`,
    lt: (_, a, b) => `(${a} < ${b})`,
    le: (_, a, b) => `(${a} <= ${b})`,
    eq: (_, a, b) => `(${a} === ${b})`,
    xor: (_, a, b) => `((${a} ^ ${b}) >>> 0)`,
    shr: (_, a, b) => `(${a} >>> ${b})`,
    where: (_, c, a, b) => `(${c} ? ${a} : ${b})`,
    mod: (_, a, b) => `(${a} % ${b})`,
    and: (_, a, b) => `(${a} && ${b})`,
    clamp: (_, a, b) => `Math.min(Math.max(${a}, 0), ${b})`,
  },
  literal: (v, d) => {
    if (d === "bool") return `${!!v}`;
    if (d === "i32" && v === -Infinity) return "-2147483648";
    if (d === "u32" && v === -Infinity) return "0";
    const x = d === "f32" ? Math.fround(v) : v; // a constant is a number of its dtype on every target
    return x < 0 || Object.is(x, -0) ? `(${Object.is(x, -0) ? "-0" : x})` : `${x}`;
  },
  load: (p, at, s) => (s === "bool" ? `(${p}[${at}] !== 0)` : isHalf(s) ? `${s}From(${p}[${at}])` : `${p}[${at}]`),
  store: (p, at, v, s) => `${p}[${at}] = ${isHalf(s) ? `${s}Bits(${v})` : v};`,
  declare: (name, v, _, mutable) => `${mutable ? "let" : "const"} ${name} = ${v};`,
  loop: (l) => {
    const { from, to } = "n" in l ? { from: "0", to: `${l.n}` } : l;
    return `for (let ${l.name} = ${from}; ${l.name} < ${to}; ${l.name}++) {`;
  },
  fold: ({ name, join, zero, value: { dtype: d } }) => ({
    start: [js.declare(name, js.literal(zero, d), d, true)],
    step: (value) => `${name} = ${js.ops[join](d, name, value, "", d)};`,
    end: [],
    clauses: [],
  }),
  freeOrder: () => undefined,
  multiplyAdd: undefined,
  rolled: undefined,
  strips: undefined,
};

/** Typed arrays that a JavaScript program works on; feeds and outputs hold one slice per step. */
export type JsMemory = {
  readonly state: ArrayBuffer;
  readonly arena: ArrayBuffer;
  readonly resident: readonly ArrayBuffer[];
  readonly feeds: readonly ArrayBuffer[];
  readonly outputs: readonly ArrayBuffer[];
};
/** Takes up to `steps` steps and says how many it took: fewer where the watched output was not finite. */
export type JsProgram = (memory: JsMemory, steps: number) => number;

/** The program as JavaScript: the body of a function of the names in `given` → JsProgram. */
export function printJs(program: Program): string {
  const { named } = program;
  const { calls, bodies } = functions(
    program.kernels,
    (k) => (k.kind === "contraction" ? contraction(k) : printKernel(k, program, js)),
    (p: Printed) => `(${p.pointers.map((_, n) => `p${n}`).join(", ")}) {\n${p.body}\n}`,
  );
  const fixed = new Map<string, string>();
  const sliced = new Map<string, string>();
  const view = ({ buffer: b }: Pointer): string => {
    const moves = b.role === "feed" || b.role === "output";
    const views = moves ? sliced : fixed;
    const key = viewOf(b);
    if (!views.has(key)) views.set(key, `${moves ? "s" : "m"}${views.size}`);
    return views.get(key)!;
  };
  const lines = calls.map(({ name, printed }) => `    ${name}(${printed.pointers.map(view).join(", ")});`);
  const buffers = new Map([...named.values()].map((b) => [viewOf(b), b]));
  const array = (b: Buffer) => storages[storageOf(b)].array.name;
  const declare = [...fixed].map(([key, name]) => {
    const b = buffers.get(key)!;
    const [from, at] = { state: ["state", b.at], temporary: ["arena", b.at], resident: [`resident[${b.at}]`, 0] }[
      b.role as "state" | "temporary" | "resident"
    ];
    return `  const ${name} = new ${array(b)}(memory.${from}, ${at}, ${size(b.shape)});`;
  });
  const slice = [...sliced].map(([key, name]) => {
    const b = buffers.get(key)!;
    const from = `memory.${b.role === "feed" ? "feeds" : "outputs"}[${b.at}]`;
    return `    const ${name} = new ${array(b)}(${from}, s * ${bytesOf(b)}, ${size(b.shape)});`;
  });
  const w = program.watch === undefined ? undefined : program.outputs[program.watch]!;
  const watch = w ? [`    if (!Number.isFinite(${sliced.get(viewOf(w))}[0])) return s + 1;`] : [];
  return [
    `"use strict";`,
    ...bodies.map(({ name, text }) => `function ${name}${text}`),
    "return (memory, steps) => {",
    ...declare,
    "  for (let s = 0; s < steps; s++) {",
    ...slice,
    ...lines,
    ...watch,
    "  }",
    "  return steps;",
    "};",
  ].join("\n");
}

/** A typed array has a length too: temporaries that share a place at different times may differ in it. */
const viewOf = (b: Buffer): string => `${placeOf(b)} ${size(b.shape)}`;

/** The text made callable. */
export const loadJs = (text: string): JsProgram => new Function(...Object.keys(given), text)(...Object.values(given));

/** What a program calls: besides functions, how a float of 16 bits goes to its two bytes and comes back. */
const given = {
  erf,
  bf16: halves.bf16.nearest,
  bf16Bits: halves.bf16.bits,
  bf16From: halves.bf16.from,
  f16: halves.f16.nearest,
  f16Bits: halves.f16.bits,
  f16From: halves.f16.from,
};

/** Four columns at a time: the row of A is read once for them, and sums stay in double. */
function contraction({ loops, m, n, sum, a, b, c }: Contraction): Printed {
  const at = (e: Expr) => terms(e);
  const body = [
    ...loops.map((l) => js.loop(l)),
    `const a0 = ${at(a.at)}, b0 = ${at(b.at)}, c0 = ${at(c.at)};`,
    `for (let i = 0; i < ${m}; i++) {`,
    "let j = 0;",
    ...(n >= 4 ? columns(4) : []),
    ...columns(1),
    "}",
    ...loops.map(() => "}"),
  ];
  function columns(width: number): string[] {
    const js4 = [...Array(width).keys()];
    return [
      `for (; j + ${width} <= ${n}; j += ${width}) {`,
      `let ${js4.map((q) => `x${q} = 0`).join(", ")};`,
      `const s0 = a0 + i * ${a.stride}, t0 = b0 + j * ${b.stride};`,
      ...sum.map((step, d) => {
        const [from, to] = [`s${d + 1} = s${d}, t${d + 1} = t${d}`, `s${d + 1} += ${step.a}, t${d + 1} += ${step.b}`];
        return `for (let l${d} = 0, ${from}; l${d} < ${step.n}; l${d}++, ${to}) {`;
      }),
      `const v = ${js.load("p1", `s${sum.length}`, storageOf(a.buffer))};`,
      ...js4.map((q) => `x${q} += v * ${js.load("p2", `t${sum.length} + ${q * b.stride}`, storageOf(b.buffer))};`),
      ...sum.map(() => "}"),
      ...js4.map((q) => `p0[c0 + i * ${c.strides.row} + (j + ${q}) * ${c.strides.col}] = x${q};`),
      "}",
    ];
  }
  const pointers = [c, a, b].map((x, k2) => ({ buffer: x.buffer, written: k2 === 0 }));
  return { body: body.map((l) => `  ${l}`).join("\n"), pointers };
}

/** A shift by outer loops: constants and multiples of variables. */
const terms = (e: Expr): string =>
  e.op === "const" || e.op === "var"
    ? `${e.arg}`
    : `(${terms(e.src[0]!)} ${e.op === "mul" ? "*" : "+"} ${terms(e.src[1]!)})`;
