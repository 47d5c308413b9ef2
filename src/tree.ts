/**
 * Trees: plain objects and arrays with leaves in them. Parameters, state, optimizer state and batches are such trees,
 * so they are saved, compared and sent with no code of their own.
 *
 * A leaf is anything that is not a plain object or an array: a Tensor, a Value, a number, null.
 */

export type Tree<L> = L | readonly Tree<L>[] | { readonly [key: string]: Tree<L> };

/** The same tree with other leaves; those that are `To` already stay. */
export type Mapped<T, From, To> = T extends From | To
  ? To
  : T extends readonly unknown[]
    ? { [K in keyof T]: Mapped<T[K], From, To> }
    : T extends object
      ? { [K in keyof T]: Mapped<T[K], From, To> }
      : T;

/** A node to descend into, as opposed to a leaf. */
export function isBranch(x: unknown): x is readonly unknown[] | Readonly<Record<string, unknown>> {
  if (Array.isArray(x)) return true;
  if (typeof x !== "object" || x === null) return false;
  const proto = Object.getPrototypeOf(x);
  return proto === Object.prototype || proto === null;
}

/** `map(f, a, b)`: f(leaf of a, what b holds at the same path, path), in the shape of a. */
export function map<T>(f: (leaf: any, ...rest: any[]) => unknown, tree: T, ...others: unknown[]): any {
  return walk("", tree, others, (_, leaf, rest) => f(leaf, ...rest));
}

/** As `map`, and f is told the path, such as `layers.0.weight`. */
export function mapWithPath<T>(
  f: (path: string, leaf: any, ...rest: any[]) => unknown,
  tree: T,
  ...others: unknown[]
): any {
  return walk("", tree, others, (path, leaf, rest) => f(path, leaf, ...rest));
}

// `any`: a tree's leaves are typed where it is made; a walk over unknown trees cannot know them.
function walk(path: string, tree: any, others: any[], f: (path: string, leaf: any, rest: any[]) => unknown): any {
  if (!isBranch(tree)) return f(path, tree, others);
  const list: unknown[] = [];
  const keys = Array.isArray(tree) ? Array.from(tree, (_, k) => `${k}`) : Object.keys(tree);
  for (const key of keys) {
    const at = others.length > 0 ? others.map((o) => o?.[key]) : others;
    list.push(walk(path === "" ? key : `${path}.${key}`, (tree as any)[key], at, f));
  }
  return Array.isArray(tree) ? list : Object.fromEntries(keys.map((key, k) => [key, list[k]]));
}

/** `walk` that only looks: every call of a program does, so it leaves little garbage. */
function visit(path: string, tree: any, f: (path: string, leaf: any) => void): void {
  const below = path === "" ? "" : `${path}.`;
  if (!isBranch(tree)) f(path, tree);
  else if (Array.isArray(tree)) for (let k = 0; k < tree.length; k++) visit(`${below}${k}`, tree[k], f);
  else for (const [key, x] of Object.entries(tree)) visit(below + key, x, f);
}

/** Leaves in order. */
export function leaves<L = any>(tree: unknown): L[] {
  const out: L[] = [];
  visit("", tree, (_, leaf) => out.push(leaf));
  return out;
}

/** [path, leaf] in order; paths are unique. */
export function paths<L = any>(tree: unknown): [string, L][] {
  const out: [string, L][] = [];
  visit("", tree, (path, leaf) => out.push([path, leaf]));
  return out;
}
