/**
 * The entry point of a program in C: its steps, each a walk over the bands. A band that is cut is walked block by block,
 * each member of the team taking blocks until none is left; a barrier stands where a band needs what others have made.
 * What is not cut is the first member's. Where nothing is cut there is neither team nor barrier, and the step is a plain
 * list of calls.
 */
import type { Band, Member } from "../../compile/band.ts";
import type { Buffer, Contraction, Loop, Program } from "../../compile/program.ts";
import { type Expr, linear } from "../../ir/expr.ts";
import { bytesOf } from "../../ir/value.ts";
import { functions, type Printed, printKernel, storageOf, type Target } from "../target.ts";
import { barrier } from "./barrier.ts";
import type { Clock } from "./clock.ts";
import { Packs } from "./packs.ts";
import type { ImageRows, Products } from "./products.ts";
import { shares } from "./shares.ts";
import { types } from "./types.ts";
import { listed, placesOf, type Upcoming, upcoming } from "./upcoming.ts";

/**
 * A program of so few kernels is compiled as one function, which saves a step of nanoseconds its calls. In a larger one
 * calls cost nothing that could be measured, and compiling it whole takes two to three times as long: its kernels are
 * units, and its steps, a list of calls that no optimisation makes shorter, another.
 */
const FEW = 8;

/** The kernels of a program as functions of C, and the statements that call them. */
export class Kernels {
  readonly texts: readonly string[];
  /** What another unit needs to call them; undefined where they are few, and stand in the unit of the steps. */
  readonly declarations: readonly string[] | undefined;
  readonly program: Program;
  private readonly target: Target;
  private readonly products: Products;
  /** What is packed when a step begins. */
  readonly packs: Packs;
  readonly called = new Map<Member, { readonly name: string; readonly printed: Printed }>();

  /** `apart`: each in a function of its own, however few there are. */
  constructor(program: Program, target: Target, products: Products, apart: boolean) {
    this.program = program;
    this.target = target;
    this.products = products;
    this.packs = new Packs(program, products);
    const members = program.bands.flatMap((band) =>
      band.members.flatMap((member) => (member.kernel.kind === "contraction" ? [] : [{ band, member }])),
    );
    const { calls, bodies } = functions(
      members,
      ({ band, member: { kernel, cut } }) => {
        if (kernel.kind === "contraction") throw new Error("print: a product is no loop nest");
        if (!cut || band.blocks === 1) return { ...printKernel(kernel, program, target), range: "" };
        const whole = band.slices % band.perBlock === 0;
        const part = { loop: cut.axis, ...(whole && { count: band.perBlock * cut.perSlice }) };
        return {
          ...printKernel(kernel, program, target, part),
          range: whole ? ", int from" : ", int from, int to",
        };
      },
      (p) => `(${p.pointers.map(parameter).join(", ")}${p.range}) {\n${p.body}\n}`,
    );
    for (const { kernel, printed, name } of calls) this.called.set(kernel.member, { printed, name });
    const many = calls.length > FEW;
    const scope = many ? "" : `static ${apart ? "__attribute__((noinline)) " : ""}`;
    this.texts = bodies.map(({ name, text }) => `${scope}void ${name}${text}`);
    if (many) this.declarations = bodies.map(({ name, text }) => `void ${name}${text.slice(0, text.indexOf(" {"))};`);
  }

  /** The statements that run a member of a band: all of it, or the slices from lo to hi; `soon` is what it asks for. */
  call(band: Band, member: Member, soon?: Upcoming): string {
    const { kernel, cut } = member;
    const part = cut && band.blocks > 1 ? cut : undefined;
    if (kernel.kind === "contraction") return this.product(band, kernel, part, soon);
    const { name, printed } = this.called.get(member)!;
    const whole = band.slices % band.perBlock === 0;
    const range = part ? [`lo * ${part.perSlice}`, ...(whole ? [] : [`hi * ${part.perSlice}`])] : [];
    return `${name}(${[...printed.pointers.map((p) => this.pointer(p.buffer, band)), ...range].join(", ")});`;
  }

  /** A product of a band, where its slices are rows, columns, or iterations of an outer loop. */
  private product(band: Band, plain: Contraction, cut: Member["cut"], soon?: Upcoming): string {
    const { k, times } = this.folded(plain, cut);
    const along = { a: 0, b: 0, c: 0 };
    if (cut?.axis === "m") Object.assign(along, { a: k.a.stride, c: k.c.strides.row });
    if (cut?.axis === "n") Object.assign(along, { b: k.b.stride, c: k.c.strides.col });
    const outer = times ? k.loops.slice(0, -1) : k.loops;
    const at = (side: "a" | "b" | "c") => {
      const moved = along[side] && cut ? ` + lo * ${along[side] * cut.perSlice}L` : "";
      return `${this.pointer(k[side].buffer, band)} + ${shift(k[side].at, outer)}${moved}`;
    };
    const rows = cut?.axis === "m" ? band.perBlock * cut.perSlice : 0;
    const panels = rows > 0 ? this.packs.of(k, rows, at("b"), soon !== undefined) : undefined;
    const type = types[k.c.buffer.dtype];
    const call = (slices: number) => {
      const part = cut && (cut.axis === "m" || cut.axis === "n") && { [cut.axis]: slices * cut.perSlice };
      const form = { ...part, packed: panels !== undefined, ...(times && { times }) };
      const places = soon && slices === band.perBlock ? placesOf(soon, this.products.idle(k, form)) : undefined;
      const name = this.products.named(k, { ...form, ...(places && { next: places }) });
      const given = `${at("a")}, ${panels ?? at("b")}, ${at("c")}, (${type} *)product`;
      if (!soon || !places) return `${name}(${given});`;
      const list = listed(soon, places, type, this.pointer(soon.data), this.pointer(soon.index));
      return `{ ${list} ${name}(${given}, next); }`;
    };
    const rest = band.slices % band.perBlock;
    const inner =
      along.c && rest
        ? `if (hi - lo == ${band.perBlock}) ${call(band.perBlock)} else ${call(rest)}`
        : call(band.perBlock);
    const loops = outer.map((l) =>
      this.target.loop(
        l.name === cut?.axis ? { name: l.name, from: `lo * ${cut.perSlice}`, to: `hi * ${cut.perSlice}` } : l,
      ),
    );
    return `${[...loops, inner].join(" ")}${" }".repeat(loops.length)}`;
  }

  /** A product as it is called, and for how many image rows at a time: those of A, or else of B, which then plays its part. */
  private folded(plain: Contraction, cut: Member["cut"]): { k: Contraction; times: ImageRows | undefined } {
    const other = turned(plain);
    const times = this.times(plain, cut);
    const otherwise = times ? undefined : this.times(other, cut);
    return otherwise ? { k: other, times: otherwise } : { k: plain, times };
  }

  /** The innermost loop of a product, if it walks image rows that one call can take: C goes on from one to the next. */
  private times(k: Contraction, cut: Member["cut"]): ImageRows | undefined {
    const last = k.loops.at(-1);
    if (!last || (cut && [last.name, "m", "n"].includes(cut.axis))) return undefined;
    const step = (e: Expr) => linear(e)?.of.get(last.name) ?? 0;
    const times = { n: last.n, step: step(k.a.at) };
    const goesOn = step(k.c.at) === k.m * k.c.strides.row && step(k.b.at) === 0 && times.step > 0;
    return goesOn && this.products.folds(k, times) ? times : undefined;
  }

  pointer(b: Buffer, band?: Band): string {
    const type = `${types[storageOf(b)]} *`;
    if (b.role !== "scratch") return `(${type})(${address(b, this.program)})`;
    // It holds one block: the pointer is to where the first slice would be.
    return `(${type})(scratch + ${b.at}) - lo * ${band!.stride.get(b)!}L`;
  }
}

/** The lines of the entry point, and how much scratch memory each member of a team needs. */
export function entry(program: Program, kernels: Kernels, products: Products, clock?: Clock) {
  const own = program.scratchBytes; // what lives in blocks; behind it, what products need
  const cut = program.bands.filter((band) => band.blocks > 1);
  const bands = program.bands.map((band) => walk(band, kernels, cut.indexOf(band), clock));
  const begin = (id: string) => (clock ? [`  ${clock.begin(id)}`] : []);
  const lap = (of: (c: Clock) => string) => (clock ? [`    ${of(clock)}`] : []);
  const start = lap((c) => c.between);
  const wait = (band?: Band) => ["    dh_wait(&call->barrier, members);", ...lap((c) => c.waited(band))];
  const { packs } = kernels;
  const scratchBytes = own + Math.ceil(products.scratchBytes / 64) * 64;
  const w = program.watch === undefined ? undefined : program.outputs[program.watch]!;
  const finite = w && `dh_finite_${w.dtype}(*${kernels.pointer(w)})`;
  const scratch = `  char *const scratch = memory[2], *const product = scratch + ${own};`;
  const alone = [
    "void dh_run(char **memory, double *steps, volatile int *stop) {",
    "  const long n = (long)steps[0];",
    "  long s = 0;",
    ...(program.kernels.some((k) => k.kind === "contraction") ? [scratch] : []),
    "  const dh_mode before = dh_flush();",
    ...begin("0"),
    "  for (; s < n && !*stop; s++) {",
    ...start,
    ...bands.flatMap((b) => b.lines),
    ...(finite ? [`    if (!${finite}) { s++; break; }`] : []),
    "  }",
    "  dh_restore(before);",
    "  steps[1] = (double)s;",
    "}",
  ];
  // `over` is asked after the barrier that ends a step, when the first member may already be in the next: so there are two.
  const team = [
    barrier,
    shares(cut.length),
    "typedef void (*dh_team)(void (*task)(void *, int, int), void *arg, int wanted);",
    "struct dh_call { struct dh_barrier barrier; char **memory; volatile int *stop; struct dh_shares *shares; long n, s; int over[2]; };",
    "static void dh_steps(void *arg, int id, int members) {",
    "  struct dh_call *const call = arg;",
    "  char **const memory = call->memory;",
    `  char *const scratch = memory[2] + id * ${scratchBytes}L, *const product = scratch + ${own};`,
    "  const dh_mode before = dh_flush();",
    ...begin("id"),
    "  for (long s = 0;; s++) {",
    ...start,
    ...(packs.lines.length ? [...packs.lines, ...lap((c) => c.packed), ...wait(program.bands[0])] : []),
    ...bands.flatMap(({ band, cut, lines }) => [
      ...(band.waits ? wait(band) : []),
      ...(cut ? lines : ["    if (id == 0) {", ...lines.map((l) => `  ${l}`), "    }"]),
    ]),
    "    if (id == 0) {",
    "      call->s = s + 1;",
    `      call->over[s & 1] = s + 1 == call->n || *call->stop${finite ? ` || !${finite}` : ""};`,
    "    }",
    ...wait(),
    "    if (call->over[s & 1]) break;",
    "  }",
    "  dh_restore(before);",
    "}",
    "void dh_run(char **memory, double *steps, volatile int *stop) {",
    "  const int wanted = steps[2] < 2 ? 1 : (int)steps[2];",
    "  struct dh_shares shares[wanted];",
    "  dh_prepare(shares, wanted);",
    "  struct dh_call call = { .memory = memory, .stop = stop, .shares = shares, .n = (long)steps[0] };",
    "  if (call.n > 0 && !*stop) {",
    "    if (wanted < 2) dh_steps(&call, 0, 1); else ((dh_team)memory[3])(dh_steps, &call, wanted);",
    "  }",
    "  steps[1] = (double)call.s;",
    "}",
  ];
  const shared = cut.length > 0;
  return { lines: shared ? team : alone, scratchBytes, temporaryBytes: program.temporaryBytes + packs.bytes, shared };
}

/** The statements that walk a band; `cut` where the members of a team share its blocks: `index` counts such bands. */
function walk(band: Band, kernels: Kernels, index: number, clock?: Clock) {
  const { blocks } = band;
  const soon = upcoming(band, kernels.program);
  const calls = band.members.map((m) => {
    const call = kernels.call(band, m, soon?.during === m ? soon : undefined);
    return clock ? `${call} ${clock.lap(m.kernel)}` : call;
  });
  if (blocks === 1) return { band, cut: false, lines: calls.map((c) => `    ${c}`) };
  const whole = band.slices % band.perBlock === 0;
  const end = `lo + ${band.perBlock}`;
  const lines = [
    `    for (long block; (block = dh_next(call->shares, ${index}, ${blocks}, id, members, s)) >= 0;) {`,
    `      const long lo = block * ${band.perBlock}, hi = ${whole ? end : `${end} < ${band.slices} ? ${end} : ${band.slices}`};`,
    ...calls.map((c) => `      ${c}`),
    "    }",
  ];
  return { band, cut: true, lines };
}

const parameter = ({ buffer, written }: Printed["pointers"][number], n: number) =>
  `${written ? "" : "const "}${types[storageOf(buffer)]} *restrict p${n}`;

/** Cᵀ = BᵀAᵀ: the same numbers at the same places. */
const turned = ({ m, n, sum, a, b, c, ...rest }: Contraction): Contraction => ({
  ...rest,
  m: n,
  n: m,
  sum: sum.map((s) => ({ n: s.n, a: s.b, b: s.a })),
  a: b,
  b: a,
  c: { ...c, strides: { row: c.strides.col, col: c.strides.row } },
});

/** Where a buffer lies in the memory a program is given. */
function address(b: Buffer, { resident, feeds }: Program): string {
  if (b.role === "state") return `memory[0] + ${b.at}`;
  if (b.role === "temporary") return `memory[1] + ${b.at}`;
  const lists = { resident: 4, feed: 4 + resident.length, output: 4 + resident.length + feeds.length };
  if (b.role === "scratch") throw new Error("print: scratch is the thread's own");
  const base = `memory[${lists[b.role] + b.at}]`;
  return b.role === "resident" ? base : `${base} + s * ${bytesOf(b)}L`;
}

/** A shift by outer loops, in elements; of any other loop, its first iteration. */
const shift = (e: Expr, loops: readonly Loop[]): string =>
  e.op === "const"
    ? `${e.arg}L`
    : e.op === "var"
      ? loops.some((l) => l.name === e.arg)
        ? `${e.arg}`
        : "0"
      : `(${shift(e.src[0]!, loops)} ${e.op === "mul" ? "*" : "+"} ${shift(e.src[1]!, loops)})`;
