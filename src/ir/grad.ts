/**
 * Reverse mode: walk the graph backwards, ask each row of ops.ts for the cotangents of its sources, add them up. A
 * gradient is one more graph, so a gradient of a gradient is a second call; broadcasting is undone in one row, expand.
 */
import * as tree from "../tree.ts";
import { isFloat } from "./dtype.ts";
import { fail } from "./fail.ts";
import { topo } from "./graph.ts";
import { elementwise, isElementwise, isMovement, isReduce, movement, reduce } from "./ops.ts";
import { size } from "./shape.ts";
import { asGradientOf, asOne, full, Tensor } from "./tensor.ts";

/**
 * Σ ∂y/∂x · cotangent for each x, shaped like it; zeros where y does not depend on x.
 * Throws where an x is not a float, or the cotangent does not have y's shape.
 */
export function vjp(y: Tensor, xs: readonly Tensor[], cotangent: Tensor): Tensor[] {
  if (`${cotangent.shape}` !== `${y.shape}`) fail(`vjp: the cotangent ${cotangent} must have the shape of ${y}`);
  const order = topo([y]);
  const wanted = new Set<Tensor>(xs);
  const useful = new Set<Tensor>(); // nodes with some x below them: nothing else needs a cotangent
  for (const t of order) if (wanted.has(t) || (t.op !== "detach" && t.src.some((s) => useful.has(s)))) useful.add(t);
  // A node of its own: what rules look at below it is the caller's, who may ask for gradients by that.
  const cotangents = new Map<Tensor, Tensor>([[y, cotangent.own()]]);
  for (const t of order.reverse()) {
    const g = cotangents.get(t);
    if (!g || !useful.has(t)) continue;
    asGradientOf(t, () => pullback(t, g)).forEach((d, k) => {
      const x = t.src[k]!;
      if (!d || !useful.has(x)) return;
      const sum = cotangents.get(x);
      cotangents.set(x, sum ? asGradientOf(x, () => sum.add(d)) : d);
    });
  }
  return xs.map((x) => {
    if (!isFloat(x.dtype)) fail(`grad: ${x} is not a float, so nothing can be differentiated by it`);
    return cotangents.get(x) ?? full(0, x.shape, x.dtype);
  });
}

function pullback(t: Tensor, g: Tensor): readonly (Tensor | null)[] {
  const [x, at] = t.src as [Tensor, Tensor];
  if (!t.isFloat) return [];
  if (isElementwise(t.op)) return elementwise[t.op].grad(g, t, x, at);
  // never: the argument's type goes with the op, which the table knows and the union does not
  if (isMovement(t.op)) return [movement[t.op].grad(g, t.arg as never, x.shape)];
  if (isReduce(t.op)) return [reduce[t.op].grad(g, t, x)];
  if (t.op === "gather") return [g.scatter(at, x.shape[0]!), null];
  if (t.op === "scatter") return [g.gather(at), null];
  return [];
}

/** ∂y/∂x for each x. Throws unless y is a float with one element. */
export function gradients(y: Tensor, xs: readonly Tensor[]): Tensor[] {
  if (!y.isFloat || size(y.shape) !== 1) {
    fail(`grad: the output must be one float, got ${y}`, "sum or mean it over its axes first");
  }
  return vjp(y, xs, full(1, y.shape, y.dtype));
}

/**
 * `f(x, …rest)` with the gradient by its first argument, a tensor or a tree of tensors. f returns a scalar, or a pair
 * [scalar, anything] whose second part is passed through. → [what f returned, a tree like x]
 * Throws where a leaf of x is a tensor of integers.
 */
export function valueAndGrad<X, R extends unknown[], Y extends Tensor | readonly [Tensor, unknown]>(
  f: (x: X, ...rest: R) => Y,
): (x: X, ...rest: R) => [Y, X] {
  return (x, ...rest) => {
    // Each leaf becomes a node of its own: two leaves that are one tensor still get a gradient each.
    const ownOf = (path: string, t: unknown) => {
      if (!(t instanceof Tensor)) return t;
      if (!t.isFloat) fail(`grad: ${path || "the argument"} is ${t}, not a float: nothing can be differentiated by it`);
      return t.own();
    };
    const own = asOne(() => tree.mapWithPath(ownOf, x)) as X;
    const y = f(own, ...rest);
    const loss = y instanceof Tensor ? y : y[0];
    const xs = tree.leaves<Tensor>(own).filter((t) => t instanceof Tensor && t.isFloat);
    const gs = new Map(gradients(loss, xs).map((g, k) => [xs[k]!, g]));
    return [y, tree.map((t) => gs.get(t) ?? t, own)];
  };
}

/** The gradient of a scalar function by its first argument, in the shape of that argument. */
export function grad<X, R extends unknown[]>(f: (x: X, ...rest: R) => Tensor): (x: X, ...rest: R) => X {
  const both = valueAndGrad(f);
  return (x, ...rest) => both(x, ...rest)[1];
}

/**
 * Hessian-vector product: ∂/∂x ⟨∇f(x), v⟩, reverse over reverse (Pearlmutter 1994 gives the forward form; the number
 * is the same). `v` is a tree like x. → a tree like x
 */
export function hvp<X, R extends unknown[]>(f: (x: X, ...rest: R) => Tensor, x: X, v: X, ...rest: R): X {
  const slope = grad(f);
  return grad((at: X) => {
    const gs = tree.leaves<Tensor>(slope(at, ...rest));
    const vs = tree.leaves<Tensor>(v);
    const wide = gs.some((g) => g.dtype === "f64") ? "f64" : "f32";
    return gs.map((g, k) => g.mul(vs[k]!).sum().cast(wide)).reduce((a, b) => a.add(b));
  })(x);
}

/** The value of x, as a constant: nothing is differentiated through it. */
export const stopGradient = (x: Tensor): Tensor => x.detach();
