/** The matrix products of a program: equal ones are one function, in a unit of their own that is compiled beside the other. */
import type { Contraction } from "../../compile/program.ts";
import { type Bf16, bf16Prelude, printBf16Gemm } from "./bf16.ts";
import { foldable, gemmPrelude, type Idle, idle, type Places, printGemm, printPacking } from "./gemm.ts";
import { types } from "./types.ts";

type Packing = { readonly name: string; readonly bytes: number; readonly panels: number; readonly type: string };

/** How many image rows a call takes, and the elements of A from one to the next. */
export type ImageRows = { readonly n: number; readonly step: number };
/** What of a product a call computes, and from what. */
type Part = {
  readonly m?: number;
  readonly n?: number;
  readonly packed?: boolean;
  readonly times?: ImageRows;
  readonly next?: Places;
};

export class Products {
  private readonly lanes: number;
  private readonly bf16: Bf16;
  private rounds = false;
  private readonly names = new Map<string, string>();
  private readonly packings = new Map<string, Packing | null>();
  private readonly texts: string[] = [];
  private readonly signatures: string[] = [];
  /** What the largest of them needs. */
  scratchBytes = 0;

  constructor(lanes: number, bf16: Bf16) {
    this.lanes = lanes;
    this.bf16 = bf16;
  }

  /**
   * The name of a function (a, b, c, scratch) for m rows and n columns of the product; with `packed`, b is in panels; with
   * `times`, for so many image rows of k.m rows, `step` elements of A apart and one after the other in C; with `next`, for
   * places that it is given besides.
   */
  named(k: Contraction, { m = k.m, n = k.n, packed = false, times, next }: Part = {}): string {
    const whole = times ? this.folded(k, times) : { ...this.shape(k), m, n };
    const shape = { ...whole, ...(packed && { packed }), ...(next && { next }) };
    const stored = { a: k.a.buffer.storage ?? "f32", b: k.b.buffer.storage ?? "f32" } as const;
    const rounded = stored.a !== "f32" || stored.b !== "f32";
    const key = JSON.stringify([shape, rounded && stored]);
    const known = this.names.get(key);
    if (known) return known;
    const name = `dh_product${this.names.size}`;
    this.names.set(key, name);
    const body = { name: `${name}_body`, ...shape };
    const printed = rounded ? printBf16Gemm({ ...body, stored, unit: this.bf16 }) : printGemm(body);
    this.rounds ||= rounded;
    this.scratchBytes = Math.max(this.scratchBytes, printed.scratchBytes);
    const [typeA, typeB, type] = [k.a, k.b, k.c].map(({ buffer }) => types[buffer.storage ?? buffer.dtype]);
    const [places, given] = next ? [`, const ${type} *const *next`, ", next"] : ["", ""];
    const signature = `void ${name}(const ${typeA} *a, const ${typeB} *b, ${type} *c, ${type} *scratch${places})`;
    this.signatures.push(`${signature};`);
    this.texts.push(`${printed.text}\n${signature} { ${name}_body(a, b, c, scratch${given}); }`);
    return name;
  }

  /** What calls of a product of m rows have the time to ask for. */
  idle(k: Contraction, { m = k.m, n = k.n, packed = false }: Part): Idle {
    if (k.a.buffer.storage || k.b.buffer.storage) return { calls: 0, bytes: 0 };
    return idle({ name: "idle", ...this.shape(k), m, n, ...(packed && { packed }) });
  }

  /** Whether one call for all image rows is faster than one for each. */
  folds(k: Contraction, times: ImageRows): boolean {
    if (k.a.buffer.storage || k.b.buffer.storage || k.c.strides.col !== 1 || k.m < 2 || k.n < 2) return false;
    return foldable({ name: "fold", ...this.folded(k, times) });
  }

  private folded(k: Contraction, { n, step }: ImageRows) {
    const m = n * k.m;
    return { ...this.shape(k), m, whole: { m, n: k.n }, fold: { rows: k.m, step } };
  }

  /**
   * The function (b, panels, lo, hi) that packs the B of a product for all of its calls of m rows, where that is of use;
   * `asks`: they ask for other places while they compute.
   */
  packing(k: Contraction, m: number, asks: boolean): Packing | undefined {
    if (k.a.buffer.storage || k.b.buffer.storage) return undefined;
    const shape = { ...this.shape(k), m };
    const key = JSON.stringify([shape, "packing", asks]);
    const known = this.packings.get(key);
    if (known !== undefined) return known ?? undefined;
    const name = `dh_pack${this.packings.size}`;
    const printed = printPacking({ name: `${name}_body`, ...shape }, asks);
    const type = types[shape.dtype];
    const packing = printed && { name, type, bytes: printed.bytes, panels: printed.panels };
    this.packings.set(key, packing ?? null);
    if (!printed) return undefined;
    const signature = `void ${name}(const ${type} *b, ${type} *panels, long lo, long hi)`;
    this.signatures.push(`${signature};`);
    this.texts.push(`${printed.text}\n${signature} { ${name}_body(b, panels, lo, hi); }`);
    return packing;
  }

  private shape(k: Contraction) {
    const dtype = k.c.buffer.dtype as "f32" | "f64";
    const [m, n] = [k.m, k.n];
    const strides = { a: k.a.stride, b: k.b.stride, c: k.c.strides };
    return { dtype, m, n, whole: { m, n }, sum: k.sum, ...strides, lanes: this.lanes };
  }

  get declarations(): string {
    return this.signatures.join("\n");
  }

  get text(): string {
    return this.texts.length
      ? [gemmPrelude(this.lanes), this.rounds ? bf16Prelude(this.bf16) : "", ...this.texts, ""].join("\n")
      : "";
  }
}
