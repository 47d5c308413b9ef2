/** Two walks over the graph: sources before users, and equal nodes made one. Loops, not recursion: depth is free. */
import { Tensor } from "./tensor.ts";

/** Every node reachable from `roots`, each after its sources. */
export function topo(roots: readonly Tensor[]): Tensor[] {
  const seen = new Set<Tensor>();
  const order: Tensor[] = [];
  const way: Tensor[] = []; // from a root to where we are, and which source comes next at each
  const next: number[] = [];
  const enter = (t: Tensor) => {
    const known = seen.size;
    if (seen.add(t).size === known) return;
    way.push(t);
    next.push(0);
  };
  for (const root of roots) {
    enter(root);
    while (way.length > 0) {
      const last = way.length - 1;
      const s = way[last]!.src[next[last]!++];
      if (s) enter(s);
      else {
        order.push(way.pop()!);
        next.pop();
      }
    }
  }
  return order;
}

/** The same roots on a graph where an op on the same sources with the same argument is one node. Leaves stay apart. */
export function unify(roots: readonly Tensor[]): Tensor[] {
  const to = new Map<Tensor, Tensor>();
  const number = new Map<Tensor, number>(); // in the order in which they were met
  const constants = new Map<string, Tensor>();
  const readers: Tensor[][] = []; // of each, those that have no source that was met later: equal ones are among them
  for (const t of topo(roots)) {
    let same = true;
    let latest = -1;
    const src = t.src.map((s) => {
      const one = to.get(s)!;
      same &&= one === s;
      latest = Math.max(latest, number.get(one)!);
      return one;
    });
    const apart = t.op === "input" || t.op === "literal";
    const key = latest < 0 && !apart ? `${t.op} ${textOf(t.arg)} ${t.dtype} ${t.shape}` : "";
    const known = latest < 0 ? constants.get(key) : readers[latest]!.find((r) => equal(r, t, src));
    const one = known ?? (same ? t : new Tensor(t.op, src, t.arg, t.shape, t.dtype, t.origin));
    to.set(t, one);
    if (known) continue;
    number.set(one, readers.push([]) - 1);
    if (latest >= 0) readers[latest]!.push(one);
    else if (!apart) constants.set(key, one);
  }
  return roots.map((r) => to.get(r)!);
}

/** Whether r is what t would be with these sources. Its shape follows from them. */
const equal = (r: Tensor, t: Tensor, src: readonly Tensor[]) =>
  r.op === t.op &&
  r.dtype === t.dtype &&
  src.length === r.src.length &&
  src.every((s, k) => s === r.src[k]) &&
  (Object.is(r.arg, t.arg) || textOf(r.arg) === textOf(t.arg));

/**
 * What tells arguments of one op on the same sources apart. All of an op are of one kind, and lists of pairs are as long as
 * the operand has axes: commas are enough.
 */
export function textOf(arg: unknown): string {
  if (Array.isArray(arg)) return arg.toString();
  if (typeof arg === "object") return JSON.stringify(arg);
  return Object.is(arg, -0) ? "-0" : `${arg}`;
}
