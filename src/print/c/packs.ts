/**
 * Matrices that are packed once per step. A product that a band cuts along its rows is called for every block, and each call
 * would bring the same B into the form that its kernels like. Where B is there when the step begins, as weights are, it is
 * packed before anything else, and all calls read the panels.
 */
import type { Buffer, Contraction, Program } from "../../compile/program.ts";
import type { Products } from "./products.ts";

export class Packs {
  /** The statements that pack, each member of a team its share of the panels. */
  readonly lines: string[] = [];
  /** Bytes of all panels, behind the temporaries. */
  bytes = 0;
  private readonly products: Products;
  private readonly behind: number;
  /** What is there when a step begins. What replaces state in its place is not: it is made within the step. */
  private readonly given: ReadonlySet<Buffer>;
  private readonly known = new Map<string, number>();

  constructor(program: Program, products: Products) {
    this.products = products;
    this.behind = program.temporaryBytes;
    this.given = new Set([...program.state, ...program.resident, ...program.feeds]);
  }

  /**
   * Where the panels of the B of a product with calls of m rows are, as C; undefined where B is better read as it is. `b`
   * is where B lies; `asks`: the calls ask for other places while they compute.
   */
  of(k: Contraction, m: number, b: string, asks: boolean): string | undefined {
    if (k.loops.length > 0 || !this.given.has(k.b.buffer)) return undefined;
    const packing = this.products.packing(k, m, asks);
    if (!packing) return undefined;
    const key = `${packing.name} ${b}`;
    const at = this.known.get(key) ?? this.behind + this.bytes;
    const panels = `memory[1] + ${at}`;
    if (!this.known.has(key)) {
      this.known.set(key, at);
      this.bytes += Math.ceil(packing.bytes / 64) * 64;
      const share = (id: string) => `${packing.panels}L * ${id} / members`;
      this.lines.push(
        `    ${packing.name}(${b}, (${packing.type} *)(${panels}), ${share("id")}, ${share("(id + 1)")});`,
      );
    }
    return `(${packing.type} *)(${panels})`;
  }
}
