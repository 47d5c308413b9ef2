/** The matrix products of a program: equal ones are one function, in a unit of their own that is compiled beside the other. */
import type { Contraction } from "../../compile/program.ts";
import { gemmPrelude, printGemm } from "./gemm.ts";
import { types } from "./types.ts";

export class Products {
  private readonly lanes: number;
  private readonly names = new Map<string, string>();
  private readonly texts: string[] = [];
  private readonly signatures: string[] = [];
  /** What the largest of them needs. */
  scratchBytes = 0;

  constructor(lanes: number) {
    this.lanes = lanes;
  }

  /** The name of a function (a, b, c, scratch) for m rows and n columns of the product. */
  named(k: Contraction, m = k.m, n = k.n): string {
    const dtype = k.c.buffer.dtype as "f32" | "f64";
    const shape = { dtype, m, n, sum: k.sum, a: k.a.stride, b: k.b.stride, c: k.c.strides, lanes: this.lanes };
    const key = JSON.stringify(shape);
    const known = this.names.get(key);
    if (known) return known;
    const name = `dh_product${this.names.size}`;
    this.names.set(key, name);
    const printed = printGemm({ name: `${name}_body`, ...shape });
    this.scratchBytes = Math.max(this.scratchBytes, printed.scratchBytes);
    const type = types[dtype];
    const signature = `void ${name}(const ${type} *a, const ${type} *b, ${type} *c, ${type} *scratch)`;
    this.signatures.push(`${signature};`);
    this.texts.push(`${printed.text}\n${signature} { ${name}_body(a, b, c, scratch); }`);
    return name;
  }

  get declarations(): string {
    return this.signatures.join("\n");
  }

  get text(): string {
    return this.texts.length ? [gemmPrelude(this.lanes), ...this.texts, ""].join("\n") : "";
  }
}
