/** Two walks over the graph: sources before users, and equal nodes made one. Loops, not recursion: depth is free. */
import { Tensor } from "./tensor.ts";

/** Every node reachable from `roots`, each after its sources. */
export function topo(roots: readonly Tensor[]): Tensor[] {
  const open = new Set<Tensor>();
  const done = new Set<Tensor>();
  const stack = [...roots].reverse();
  while (stack.length) {
    const t = stack.at(-1)!;
    if (open.has(t))
      done.add(stack.pop()!); // its sources came first; a Set keeps the first place
    else for (let k = t.src.length - 1; k >= 0; k--) if (!open.has(t.src[k]!)) stack.push(t.src[k]!);
    open.add(t);
  }
  return [...done];
}

/** The same roots on a graph where an op on the same sources with the same argument is one node. Leaves stay apart. */
export function unify(roots: readonly Tensor[]): Tensor[] {
  const table = new Map<string, Tensor>();
  const to = new Map<Tensor, Tensor>();
  const number = new Map<Tensor, number>();
  for (const t of topo(roots)) {
    const src = t.src.map((s) => to.get(s)!);
    const apart = t.op === "input" || t.op === "literal";
    const arg = apart ? `#${number.size}` : text(t.arg);
    let key = `${t.op} ${arg} ${t.dtype}`; // its shape follows from them
    for (const s of src) key += ` ${number.get(s)}`;
    const same = src.every((s, k) => s === t.src[k]);
    const one = table.get(key) ?? (same ? t : new Tensor(t.op, src, t.arg, t.shape, t.dtype, t.origin));
    table.set(key, one);
    to.set(t, one);
    if (!number.has(one)) number.set(one, number.size);
  }
  return roots.map((r) => to.get(r)!);
}

const text = (arg: unknown) =>
  typeof arg === "number"
    ? Object.is(arg, -0)
      ? "-0"
      : `${arg}`
    : typeof arg === "object"
      ? JSON.stringify(arg)
      : arg;
