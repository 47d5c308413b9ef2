/**
 * What decides which program a trace becomes, as text: traces with one text become one program, in whatever process they
 * were made. It has operations, their arguments and dtypes, who reads whom, the roles of inputs, what belongs to a gradient
 * and what to a part that is computed again. It leaves out what no program depends on: names of inputs, the user's modules
 * and lines, and the numbers of literals, which a program reads as it reads data.
 */
import { textOf, topo } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Trace } from "./compile.ts";
import type { Check, Program } from "./program.ts";

export type Identity = {
  readonly text: string;
  /** What numbers come in by: state, resident data, feeds, then literals in the order in which they are met. */
  readonly leaves: readonly Tensor[];
};

/** Undefined where the trace depends on an input that is not among its own: it is no program. */
export function identityOf(trace: Trace): Identity | undefined {
  const { state, resident, feeds, outputs, watch } = trace;
  const given = [...state.map((s) => s.now), ...resident, ...feeds];
  const number = new Map<Tensor, number>();
  const lines = [`${state.length} ${resident.length} ${feeds.length} ${outputs.length}`];
  const add = (t: Tensor, line: string) => {
    number.set(t, number.size);
    lines.push(line);
  };
  for (const t of given) add(t, `${t.dtype} ${t.shape}`);

  const literals: Tensor[] = [];
  const parts = new Map<object, number>();
  const roots = [...outputs, ...state.map((s) => s.next)];
  const order = topo(roots);
  for (let k = 0; k < order.length; k++) {
    const t = order[k]!;
    const { op, src, arg, dtype, shape, origin } = t;
    if (op === "input") {
      if (number.has(t)) continue;
      return undefined;
    }
    let line = `${op} ${dtype}`;
    for (let j = 0; j < src.length; j++) line += ` ${number.get(src[j]!)}`;
    if (op === "literal") {
      literals.push(t);
      line += ` ${shape}`;
    } else if (arg !== null) line += ` = ${textOf(arg)}`;
    if (origin.of) line += " '";
    else if (origin.part) {
      if (!parts.has(origin.part)) parts.set(origin.part, parts.size);
      line += ` part ${parts.get(origin.part)}`;
    }
    add(t, line);
  }
  lines.push(`${roots.map((t) => number.get(t))} ${watch && outputs.indexOf(watch)}`);
  return { text: lines.join("\n"), leaves: [...given, ...literals] };
}

/** What whoever calls a program has to know of it beside the trace. Leaves are told by their position. */
export type Outline = {
  /** Those that are resident, behind the data. */
  readonly literals: readonly number[];
  readonly checks: readonly (Omit<Check, "input"> & { readonly input: number })[];
};

export function outlineOf({ resident, checks }: Program, leaves: readonly Tensor[]): Outline {
  const position = new Map(leaves.map((t, k) => [t, k]));
  return {
    literals: resident.flatMap(({ tensor }) => (tensor.op === "literal" ? [position.get(tensor)!] : [])),
    checks: checks.map((check) => ({ ...check, input: position.get(check.input)! })),
  };
}
