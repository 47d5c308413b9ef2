/**
 * A module is a plain object: what it is made of, and how it computes. It holds no numbers. Its parameters and its
 * state are two plain trees beside it, so that a running statistic can never be taken for a parameter, and `apply` is
 * a function of these trees: it binds them to the children before `forward` runs, so that `forward` reads like the
 * paper.
 *
 *   const dense = module(
 *     { weight: param([2, 3], normal(0.1)), calls: state([], zeros) },
 *     ({ weight, calls }, x) => {
 *       calls.next(calls.now.add(1));
 *       return x.matmul(weight.transpose());
 *     },
 *   );
 *   const { params, state } = init(dense, 1);                // params.weight: Value f32[2, 3]
 *   const [y, next] = apply(dense, { params, state }, x);    // on Tensors, inside a step
 *
 * A param or state that stands in two places of the tree, alone or as part of a module that does, is one: its numbers
 * are under its first path, and the other places of the tree leave them out (weight tying). Types do not see identity,
 * so they list both places.
 */
import type { Float } from "../ir/dtype.ts";
import { fail, modulePath, shown, within } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import { type Shape, sameShape } from "../ir/shape.ts";
import { scalar, Tensor } from "../ir/tensor.ts";
import { type Value, value } from "../ir/value.ts";
import { foldIn, type Key, key as rootKey } from "../random.ts";
import * as tree from "../tree.ts";

/** The first numbers of a tensor: as many as the shape has elements, row-major, a pure function of its arguments. */
export type Init = (shape: Shape, key: Key) => ArrayLike<number>;

type Spec<Kind extends "param" | "state"> = { readonly kind: Kind; readonly shape: Shape; readonly init: Init };
export type ParamSpec = Spec<"param">;
export type StateSpec = Spec<"state">;

/** A state while `forward` runs: what it is now, and what it becomes after this apply. */
export type Cell = {
  readonly now: Tensor;
  next(v: Tensor): void;
  /**
   * As `next`, of a running average: it moves `share` of the way to v, now · (1 − share) + v · share. Known to be one,
   * it is recomputed for averaged weights: there it becomes the mean of the v so far.
   */
  average(v: Tensor, share: Tensor): void;
};

/** What holds for the whole of one apply. */
export type Context = {
  readonly training: boolean;
  /**
   * Random bits of this call's own: a key, u32[2], and a stream that no other place has, to be given to the draws of
   * ir/random.ts. Throws where `apply` got no key.
   */
  readonly draw: () => { readonly key: Tensor; readonly stream: number };
};

/** A Tensor and perhaps more of them in, a Tensor (or, as of a recurrent cell, several) out. */
export type Module<C = any, More extends readonly Tensor[] = any, Y = any> = {
  readonly kind: "module";
  readonly children: C;
  // any: `module` ties the bound children to C; here they would make no module assignable to Module
  readonly forward: (bound: any, x: Tensor, context: Context, ...more: More) => Y;
};

// any: a plain function may have options after its tensors, as softmax has its axis
type Plain = (...inputs: any[]) => Tensor;
export type Child = ParamSpec | StateSpec | Module | Plain | readonly Child[] | { readonly [name: string]: Child };
export type Children = { readonly [name: string]: Child };

/** Children as `forward` sees them: a param as its Tensor, a state as a Cell, a module as a function. */
export type Bound<C> = C extends ParamSpec
  ? Tensor
  : C extends StateSpec
    ? Cell
    : C extends Module<unknown, infer More, infer Y>
      ? (x: Tensor, ...more: More) => Y
      : C extends Plain
        ? C
        : { readonly [K in keyof C]: Bound<C[K]> };

type Kept<C, Kind> = C extends { readonly kind: Kind }
  ? Value
  : C extends { readonly kind: "module"; readonly children: infer Inside }
    ? Kept<Inside, Kind>
    : C extends ParamSpec | StateSpec | Plain
      ? Record<never, never> // nothing of this kind, but a list keeps its places
      : C extends readonly unknown[]
        ? { readonly [K in keyof C]: Kept<C[K], Kind> }
        : { readonly [K in keyof C as C[K] extends Other<Kind> ? never : K]: Kept<C[K], Kind> };
type Other<Kind> = Plain | (Kind extends "param" ? StateSpec : ParamSpec);

/** The parameters of a module: a plain tree of Values. Modules without any are {}. */
export type Params<N> = Kept<N, "param">;
/** The state of a module, such as running statistics: a plain tree of Values. */
export type State<N> = Kept<N, "state">;
/** The same tree inside a step. */
export type Traced<T> = tree.Mapped<T, Value, Tensor>;

type Output<N> = N extends Module<any, any, infer Y> ? Y : never;

export const param = (shape: Shape, init: Init): ParamSpec => ({ kind: "param", shape, init });
export const state = (shape: Shape, init: Init): StateSpec => ({ kind: "state", shape, init });

/**
 * Something with parameters: its children by name, and `forward(bound, x, context)`. One that takes more inputs gets
 * them after the context, `forward(bound, x, context, memory)`, and is called with the inputs alone, `m.attend(x, memory)`:
 * the context goes along by itself.
 */
export function module<const C extends Children, Y, More extends readonly Tensor[] = readonly []>(
  children: C,
  forward: (bound: Bound<C>, x: Tensor, context: Context, ...more: More) => Y,
): Module<C, More, Y>;
export function module(children: Children, forward: Module["forward"]): Module {
  return { kind: "module", children, forward };
}

const kindOf = (c: Child): unknown => (c as { readonly kind?: unknown } | null | undefined)?.kind;
const isSpec = (c: Child): c is ParamSpec | StateSpec => kindOf(c) === "param" || kindOf(c) === "state";
const isModule = (c: Child): c is Module => kindOf(c) === "module";

/** Calls `visit` on every param and state with its path, in the order of the tree. */
function walk(c: Child, path: string, visit: (spec: ParamSpec | StateSpec, path: string) => void): void {
  if (isSpec(c)) visit(c, path);
  else if (isModule(c)) walk(c.children, path, visit);
  else if (typeof c === "object" && c !== null) {
    for (const [name, below] of Object.entries(c)) walk(below, path ? `${path}.${name}` : name, visit);
  } else if (typeof c !== "function") {
    fail(
      `module: ${path} is ${c}`,
      "a child is a param, a state, a module, a function of a Tensor, or a list or record",
    );
  }
}

/** Params and states of a module with their first paths. */
function inventory(net: Module): Map<ParamSpec | StateSpec, string> {
  if (net?.kind !== "module") {
    const hint = typeof net === "function" ? "call it, as in linear(3, 2)" : "made by module(children, forward)";
    fail(`expected a module, got ${shown(net)}`, hint);
  }
  const first = new Map<ParamSpec | StateSpec, string>();
  walk(net.children, "", (spec, path) => first.has(spec) || first.set(spec, path));
  return first;
}

/** The tree of one kind, with what `leaf` gives for each first place. Lists keep their places; records drop the rest. */
export function grow(
  net: Module,
  kind: "param" | "state",
  leaf: (spec: ParamSpec | StateSpec, path: string) => unknown,
): unknown {
  const first = inventory(net);
  const at = (c: Child, path: string): unknown => {
    if (isSpec(c)) return c.kind === kind && first.get(c) === path ? leaf(c, path) : undefined;
    if (isModule(c)) return at(c.children, path);
    if (typeof c === "function") return undefined;
    const below = Object.entries(c).map(([name, x]) => [name, at(x, path ? `${path}.${name}` : name)] as const);
    if (Array.isArray(c)) return below.map(([, x]) => x ?? {});
    return Object.fromEntries(below.filter(([, x]) => x !== undefined));
  };
  return at(net.children, "");
}

/**
 * The first parameters and state of a module. Each is drawn from a key of the seed and its own path, so that a layer
 * added elsewhere does not change it. Drawn in f64 on the host and rounded to `dtype`: the same on every backend.
 */
export function init<N extends Module>(
  net: N,
  seed: number,
  { dtype = "f32" }: { dtype?: Float } = {},
): { params: Params<N>; state: State<N> } {
  const root = rootKey(seed);
  const draw = (spec: ParamSpec | StateSpec, path: string) =>
    within(`net.${path}`, () => value(spec.shape, spec.init(spec.shape, foldIn(root, path)), dtype));
  return { params: grow(net, "param", draw) as Params<N>, state: grow(net, "state", draw) as State<N> };
}

/**
 * Run a module on its parameters and state, all of them Tensors: a pure function. → [output, next state]
 *
 * x         the input; a list of them where the module takes several
 * training  what dropout and normalisation ask for
 * key       u32[2], a new one for every step; needed where something is drawn, such as dropout in training
 * nth       a scalar float, in training alone: running averages become the mean of this batch's and those of the
 *           nth − 1 batches before it, and all other state stays; `recalibrate` of downhill/train takes it
 *
 * Draws depend on the key and the module's path, so two applies in one step want two keys (`random.foldIn`).
 * Throws where a parameter or a state is missing, unknown or of another shape, and where a state is written twice.
 */
export function apply<N extends Module>(
  net: N,
  variables: { readonly params: Traced<Params<N>>; readonly state?: Traced<State<N>> },
  x: Tensor | readonly Tensor[],
  options: { training?: boolean; key?: Tensor | undefined; nth?: Tensor | undefined } = {},
): [Output<N>, Traced<State<N>>] {
  if ((options as unknown) instanceof Tensor) {
    fail(
      `apply: ${options} is in the place of the options`,
      "several inputs are one list: apply(net, { params }, [x, y])",
    );
  }
  checkOptions("apply", options, ["training", "key", "nth"]);
  const { training = false, key, nth } = options;
  if (nth && !training) fail("apply: nth recomputes running averages, which only training moves", "training: true");
  const first = inventory(net);
  if (typeof variables !== "object" || variables === null || !("params" in variables)) {
    fail(`apply: expected { params, state } of Tensors, got ${shown(variables)}`, "apply(net, { params, state }, x)");
  }
  const given = { param: match(first, "param", variables.params), state: match(first, "state", variables.state ?? {}) };
  const next = new Map<ParamSpec | StateSpec, Tensor>();
  const draws = new Map<string, number>();
  let open = true;

  const draw = () => {
    const path = modulePath();
    if (!key) {
      const hint = "apply(net, { params, state }, x, { training: true, key }) with a u32[2] Tensor, a new one per step";
      fail("apply: training draws random numbers here, and no key was given", hint);
    }
    const n = draws.get(path) ?? 0;
    draws.set(path, n + 1);
    return { key, stream: streamOf(n ? `${path}#${n}` : path) };
  };
  const context: Context = { training, draw };

  /** A function that knows where it is, and that `apply` must still be running. */
  const call =
    <Y>(name: string, body: (...inputs: Tensor[]) => Y) =>
    (...inputs: Tensor[]) =>
      within(name, () => {
        if (!open) fail("a bound module was called after its apply had returned", "keep nothing that forward is given");
        return body(...inputs);
      });

  const bind = (c: Child, name: string): unknown => {
    if (isSpec(c)) return c.kind === "param" ? given.param.get(c) : cell(c);
    if (isModule(c)) return call(name, (...inputs) => run(c, inputs));
    if (typeof c === "function") return call(name, c);
    if (Array.isArray(c)) return c.map((x, k) => bind(x, `${name}.${k}`));
    return Object.fromEntries(Object.entries(c).map(([k, x]) => [k, bind(x, name ? `${name}.${k}` : k)]));
  };

  const run = (m: Module, inputs: readonly Tensor[]) => {
    if (!inputs.length) fail("a module was called without an input");
    for (const t of inputs as readonly unknown[]) {
      if (t instanceof Tensor) continue;
      const several = Array.isArray(t) && t.length > 0 && t.every((each) => each instanceof Tensor);
      if (several) fail(`expected a Tensor as input, got ${t.length}: ${t.join(", ")}`, severalHint);
      fail(`expected a Tensor as input, got ${shown(t)}`, traceHint);
    }
    const [x, ...more] = inputs as readonly [Tensor, ...Tensor[]];
    return m.forward(bind(m.children, ""), x, context, ...more);
  };

  const cell = (spec: StateSpec): Cell => {
    const now = given.state.get(spec)!;
    const write = (v: Tensor, after: () => Tensor) => {
      const path = first.get(spec);
      if (!open) fail(`state ${path} was written after its apply had returned`, "call next inside forward");
      if (next.has(spec)) {
        fail(
          `state ${path} is written twice in one apply`,
          "its module was called twice; give each call a module of its own",
        );
      }
      if (!sameShape(v.shape, now.shape) || v.dtype !== now.dtype)
        fail(`state ${path} is ${now}, its next value is ${v}`);
      next.set(spec, after());
    };
    const lerp = (v: Tensor, share: Tensor) => now.mul(scalar(1, share.dtype).sub(share)).add(v.mul(share));
    return {
      now,
      next: (v) => write(v, () => (nth ? now : v)),
      average(v, share) {
        const n = nth?.cast(v.dtype);
        write(v, () => (n ? n.le(1).where(v, lerp(v, scalar(1, v.dtype).div(n))) : lerp(v, share)));
      },
    };
  };

  try {
    const inputs = (Array.isArray(x) ? x : [x]) as readonly Tensor[];
    const y = call("net", (...xs) => run(net, xs))(...inputs);
    const after = grow(net, "state", (spec) => next.get(spec) ?? given.state.get(spec));
    return [y as Output<N>, after as Traced<State<N>>];
  } finally {
    open = false;
  }
}

const severalHint =
  "a layer before gives several, as lstm gives [y, h, c]: take one in a forward of your own, m.head(m.lstm(x)[0])";
const traceHint = "apply works on the Tensors of a step that is being traced; outside there are only Values";

/** The given tensors by what they are for. Throws where the tree is not the module's. */
function match(first: ReadonlyMap<ParamSpec | StateSpec, string>, kind: "param" | "state", given: unknown) {
  const title = kind === "param" ? "params" : "state";
  const rest = new Map(tree.paths<Tensor>(given));
  const found = new Map<ParamSpec | StateSpec, Tensor>();
  for (const [spec, path] of first) {
    if (spec.kind !== kind) continue;
    const t = rest.get(path);
    if (t === undefined) {
      fail(`apply: ${title} has nothing at ${path}, the module expects [${spec.shape}] there`, wrongNet(kind));
    }
    if (!(t instanceof Tensor)) fail(`apply: ${title} holds ${t} at ${path}, not a Tensor`, traceHint);
    if (!sameShape(t.shape, spec.shape)) {
      fail(`apply: ${title} holds ${t} at ${path}, the module expects [${spec.shape}] there`, wrongNet(kind));
    }
    found.set(spec, t);
    rest.delete(path);
  }
  for (const path of rest.keys()) fail(`apply: ${title} has ${path}, which the module does not know`, wrongNet(kind));
  return found;
}

const wrongNet = (kind: "param" | "state") =>
  kind === "param"
    ? "these are the parameters of another module: make them with init(net, seed), or load what was saved from this one"
    : "pass the state that init(net, seed) or the last apply returned";

/** A stream of a module's own, below those that random.ts keeps for itself. */
const streamOf = (path: string): number => foldIn([0, 0], path)[0] >>> 1;
