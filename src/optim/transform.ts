/**
 * A transform turns a direction, at first the gradient, into a better one, and keeps what it must remember as a plain
 * tree. A rule is written for one tensor; `leafwise` lifts it to trees, `chain` puts transforms one after the other, and
 * only `update` moves the parameters: p − lr · direction.
 */
import { dtypes } from "../ir/dtype.ts";
import { entering, fail, shown } from "../ir/fail.ts";
import { type Shape, sameShape } from "../ir/shape.ts";
import { Tensor } from "../ir/tensor.ts";
import { Value } from "../ir/value.ts";
import { leaves, type Mapped, map, mapWithPath, paths } from "../tree.ts";

/** What a transform remembers, on the host: a tree below the parameters' paths. No state is `{}`, which has no leaf. */
export interface State {
  readonly [key: string]: Value | State;
}
/** The same while a step is traced. */
export interface TracedState {
  readonly [key: string]: Tensor | TracedState;
}

/**
 * What comes out of a transform: a direction, which `update` multiplies by −lr, or a step that has lr in it already.
 * A step is for rules with lr inside a buffer (Keras' momentum, Optax' RMSProp): once lr changes, no direction times lr
 * is the same.
 */
export type Gives = "direction" | "step";

export type Context<P> = {
  /** The parameters before this step. */
  readonly params: P;
  /** Number of this step, counted from 1: a scalar float. */
  readonly step: Tensor;
  /** Learning rate of this step: a scalar float. */
  readonly lr: Tensor;
};

export type Transform = {
  readonly gives: Gives;
  /** What it is, with its numbers and dialect: `adam(b1 0.9, b2 0.999, eps 1e-8; torch)`. */
  readonly describe: string;
  /** Which parameters `update` moves; left out, all of them. `freeze` sets it. */
  readonly moves?: Where;
  /** State before the first step, for parameters of these shapes and dtypes. */
  init(params: unknown): State;
  /** One step, in tensors. `direction` and `params` have the same tree. */
  update<P>(direction: P, state: TracedState, context: Context<P>): [P, TracedState];
};

/** A transform, or a chain of them, that a run is trained with. */
export type Optimizer = Transform;

/** A rule for one tensor. It sees its parameter `p`, and `step` and `lr` as scalars of p's dtype. */
export type Rule<S extends Record<string, Value>> = {
  init?(p: Value): S;
  update(u: Tensor, state: Mapped<S, Value, Tensor>, at: At): Tensor | readonly [Tensor, Mapped<S, Value, Tensor>];
};
export type At = { readonly p: Tensor; readonly step: Tensor; readonly lr: Tensor };

/** Lift a rule for one tensor to trees. Throws where a parameter is not a float, or a direction does not fit it. */
export function leafwise<S extends Record<string, Value>>(
  describe: string,
  rule: Rule<S>,
  gives: Gives = "direction",
): Transform {
  return {
    gives,
    describe,
    init: (params) => mapWithPath((path, p) => rule.init?.(parameter(path, p)) ?? {}, params),
    update(direction, state, { params, step, lr }) {
      const both = mapWithPath(
        (path, p: Tensor, u: Tensor, s) => {
          fits(path, p, u);
          const out = rule.update(u, s, { p, step: step.cast(p.dtype), lr: lr.cast(p.dtype) });
          return out instanceof Tensor ? new Pair(out, s) : new Pair(out[0], out[1]);
        },
        params,
        direction,
        state,
      );
      return [map((pair: Pair) => pair.direction, both), map((pair: Pair) => pair.state, both)];
    },
  };
}

/** What a rule returned for one tensor. A class, so that trees take it for a leaf. */
class Pair {
  readonly direction: Tensor;
  readonly state: unknown;
  constructor(direction: Tensor, state: unknown) {
    this.direction = direction;
    this.state = state;
  }
}

/** One after the other. Throws where one that gives a step is not the last: λ·p after it would have the wrong unit. */
export function chain(...links: readonly Transform[]): Transform {
  const last = links.at(-1) ?? fail("chain: there is nothing to chain");
  links.forEach((link) => requireTransform("chain", link));
  links.slice(0, -1).forEach(requireDirection);
  links.forEach((link) => requireUnfrozen("chain", link));
  return {
    gives: last.gives,
    describe: links.map((link) => link.describe).join(" → "),
    init: (params) => Object.fromEntries(links.map((link, k) => [k, link.init(params)])),
    update(direction, state, context) {
      let u = direction;
      const next = links.map((link, k) => {
        const [v, s] = link.update(u, state[k] as TracedState, context);
        u = v;
        return [k, s];
      });
      return [u, Object.fromEntries(next)];
    },
  };
}

/** Which parameters: by path, such as `layers.0.bias`, and by shape. */
export type Where = (path: string, p: { readonly shape: Shape }) => boolean;

/** Rank 2 and more: weights, but neither biases nor the scales of a normalisation. */
export const matrices: Where = (_, p) => p.shape.length >= 2;

/** Parameters whose path matches. */
export const named = (pattern: RegExp): Where => titled(`named(${pattern})`, (path) => pattern.test(path));

/** Parameters of these parts of a net: `under("trunk")` has `trunk.layers.0.weight`, and not `trunk2.weight`. */
export const under = (...parts: readonly string[]): Where =>
  titled(`under(${parts.map((part) => JSON.stringify(part)).join(", ")})`, (path) =>
    parts.some((part) => path === part || path.startsWith(`${part}.`)),
  );

/** A function's name is what `describe` calls it. */
const titled = (name: string, where: Where): Where => Object.defineProperty(where, "name", { value: name });

/**
 * The transform on some parameters only; the others' directions pass unchanged and have no state. The transform does not
 * see them at all, so a global norm is that of the chosen ones.
 */
export function only(where: Where, transform: Transform, describe = where.name || "some"): Transform {
  requireWhere("only", where);
  requireTransform("only", transform);
  requireDirection(transform);
  requireUnfrozen("only", transform);
  return {
    gives: "direction",
    describe: `only(${describe}, ${transform.describe})`,
    init: (params) => transform.init(pruned(where, params, params)),
    update(direction, state, { params, step, lr }) {
      const within = { params: pruned(where, params, params), step, lr };
      const [u, next] = transform.update(pruned(where, params, direction), state, within);
      return [mapWithPath((path, p, before, after) => (where(path, p) ? after : before), params, direction, u), next];
    },
  };
}

/**
 * Some parameters stay as they are, to the last bit; the rule moves the others. To the rule the frozen ones do not
 * exist: no decay, no momentum, no state, no part in a clipped norm, as with `requires_grad = False` in PyTorch. Of
 * their gradients nothing is computed, and `update` may be given a tree without them.
 *
 * It goes around the whole rule: `freeze(under("trunk"), chain(clipGlobalNorm(1), adamW()))`.
 *
 * State is no parameter: the running statistics of batch norms in a frozen part move on with every training step, as in
 * PyTorch unless the part is in `eval()`. Where they must stay, run that part outside training, once, and train the rest
 * on what it gives: `predict(trunk, { params: params.trunk, state: state.trunk }, x)`.
 * `init` throws where there is no such parameter, or none is left.
 */
export function freeze(where: Where, rule: Optimizer): Optimizer {
  requireWhere("freeze", where);
  requireTransform("freeze", rule);
  const { moves } = rule;
  const rest: Where = (path, p) => !where(path, p) && (!moves || moves(path, p));
  const describe = `freeze(${where.name || "some"}, ${rule.describe})`;
  return {
    gives: rule.gives,
    describe,
    moves: rest,
    init(params) {
      requireSome(describe, where, params);
      const left = pruned((path, p) => !where(path, p), params, params);
      if (leaves(left).length === 0) fail(`${describe}: all parameters are frozen, so there is nothing to train`);
      return rule.init(left);
    },
    update(direction, state, { params, step, lr }) {
      const left = { params: pruned(rest, params, params), step, lr };
      return rule.update(pruned(rest, params, direction), state, left);
    },
  };
}

/**
 * The rule with lr · factor for some parameters, such as a tenth for what was trained before: a parameter group of
 * PyTorch with a rate of its own. Weight decay that contains lr is scaled with it.
 *
 * `init` throws where there is no such parameter.
 */
export function scaleLr(where: Where, factor: number, rule: Optimizer): Optimizer {
  requireWhere("scaleLr", where);
  requireTransform("scaleLr", rule);
  if (!(typeof factor === "number" && factor > 0 && Number.isFinite(factor))) {
    const hint = factor === 0 ? "freeze(where, rule) keeps parameters as they are" : undefined;
    fail(`scaleLr: the factor must be a finite number > 0, got ${given(factor)}`, hint);
  }
  const describe = `scaleLr(${where.name || "some"}, ${factor}, ${rule.describe})`;
  return {
    ...rule,
    describe,
    init(params) {
      requireSome(describe, where, params);
      return rule.init(params);
    },
    update(direction, state, context) {
      // Also a step, which has lr in it already: a buffer of steps is as long as its rate, so the factor may come last.
      const [u, next] = rule.update(direction, state, context);
      const scaled = (path: string, p: Tensor, d: Tensor) =>
        d instanceof Tensor && where(path, p) ? d.mul(factor) : d;
      return [mapWithPath(scaled, context.params, u), next];
    },
  };
}

/**
 * What of a tree shaped like the parameters belongs to those that the rule moves, for code that goes through gradients
 * by itself: a norm, a sum over batches. Frozen ones are {}, a branch without leaves.
 */
export const trainable = <P>(rule: Optimizer, params: unknown, tree: P): P =>
  rule.moves ? pruned(rule.moves, params, tree) : tree;

/** An empty branch takes the place of a parameter that is left out: no leaf, no state, no memory. */
const pruned = <P>(where: Where, params: unknown, tree: P): P =>
  mapWithPath((path, p, x) => (where(path, p) ? x : {}), params, tree);

/**
 * One step of an optimizer: p − lr · direction, or p − step where the rule has lr inside.
 *
 * gradients  a tree like `params`; those of frozen parameters may be missing
 * state      `rule.init(params)` at first, then what this returned
 * →          [next params, next state]
 * Throws where a gradient's shape is not its parameter's, or step or lr is not a scalar float.
 */
export function update<P>(rule: Optimizer, gradients: P, state: TracedState, context: Context<P>): [P, TracedState] {
  requireTransform("update", rule);
  for (const name of ["step", "lr"] as const) {
    const t = context[name];
    if (t.rank !== 0 || !t.isFloat) fail(`update: ${name} must be a scalar float, got ${t}`);
  }
  return entering(() => {
    const [u, next] = rule.update(gradients, state, context);
    const minusLr = context.lr.neg();
    const moved = mapWithPath(
      (path, p: Tensor, d: Tensor) => {
        if (rule.moves && !rule.moves(path, p)) return p;
        fits(path, p, d);
        return p.add(rule.gives === "step" ? d.neg() : d.mul(minusLr.cast(p.dtype)));
      },
      context.params,
      u,
    );
    return [moved, next];
  });
}

function requireWhere(what: string, where: unknown): void {
  if (typeof where === "function") return;
  const hint = typeof where === "string" ? `under(${JSON.stringify(where)})` : calls[what];
  fail(`${what}: which parameters is said by a function of path and shape, got ${given(where)}`, hint);
}

/** Types say so too, but not to JavaScript; and `adam` in place of `adam()` is soon written. */
function requireTransform(what: string, t: unknown): void {
  if (typeof (t as Partial<Transform> | null | undefined)?.update === "function") return;
  if (typeof t === "function") fail(`${what}: ${t.name || "a function"} makes a transform and is none`, "call it");
  fail(`${what}: expected a transform such as adam(), got ${given(t)}`, calls[what]);
}

const calls: Readonly<Record<string, string>> = {
  only: 'only(under("head"), clipGlobalNorm(1))',
  freeze: 'freeze(under("trunk"), adam())',
  scaleLr: 'scaleLr(under("trunk"), 0.1, adam())',
};

/** A rule by its name, so that arguments in the wrong order are seen to be. */
const given = (x: unknown): string =>
  typeof (x as Partial<Transform> | null | undefined)?.update === "function" ? (x as Transform).describe : shown(x);

function requireDirection(t: Transform): void {
  if (t.gives === "step")
    fail(`chain: ${t.describe} has the learning rate in it, so it must come last, for all parameters`);
}

function requireUnfrozen(what: string, t: Transform): void {
  if (t.moves) fail(`${what}: ${t.describe} must go around the whole rule`, "freeze(where, chain(…))");
}

/** A part of the net that does not exist is a mistyped one. */
function requireSome(what: string, where: Where, params: unknown): void {
  const all = paths<Value>(params);
  if (all.some(([path, p]) => where(path, p))) return;
  const few = all.slice(0, 6).map(([path]) => path);
  fail(`${what}: there is no such parameter`, `there are ${few.join(", ")}${all.length > few.length ? ", …" : ""}`);
}

const at = (path: string) => path || "the top";

function parameter(path: string, p: unknown): Value {
  if (!(p instanceof Value)) fail(`optim: the parameter at ${at(path)} is not a Value`);
  if (p.dtype !== "f32" && p.dtype !== "f64") {
    fail(`optim: the parameter at ${at(path)} is ${p}; only floats can be trained`, "keep integers in the state");
  }
  return p;
}

function fits(path: string, p: Tensor, u: unknown): void {
  if (!(u instanceof Tensor)) fail(`update: there is no gradient for the parameter at ${at(path)}, ${p}`);
  if (!sameShape(p.shape, u.shape) || p.dtype !== u.dtype) {
    fail(`update: the parameter at ${at(path)} is ${p}, its gradient ${u}`);
  }
}

/** A Value shaped like p with one number everywhere. */
export function filled(p: Value, x = 0): Value {
  const data = new dtypes[p.dtype].array(p.data.length);
  // What is never written takes no memory: the zeros of a large optimizer's state cost nothing on the host.
  return new Value(p.dtype, p.shape, x === 0 ? data : data.fill(x));
}
