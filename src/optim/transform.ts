/**
 * A transform turns a direction, at first the gradient, into a better one, and keeps what it must remember as a plain
 * tree. A rule is written for one tensor; `leafwise` lifts it to trees, combine.ts puts transforms together, and only
 * `update` moves the parameters: p − lr · direction.
 */
import { dtypes } from "../ir/dtype.ts";
import { entering, fail, shown } from "../ir/fail.ts";
import { type Shape, sameShape, size } from "../ir/shape.ts";
import { asOne, Tensor } from "../ir/tensor.ts";
import { Value, zeros } from "../ir/value.ts";
import { type Mapped, map, mapWithPath } from "../tree.ts";
import type { Where } from "./combine.ts";

/** What a transform remembers, on the host: a tree below the parameters' paths. No state is `{}`, which has no leaf. */
export interface State {
  readonly [key: string]: Value | State;
}
/** The same while a step is traced. */
export interface TracedState {
  readonly [key: string]: Tensor | TracedState;
}

/**
 * What comes out of a transform: a direction, which `update` multiplies by −lr; a step that has lr in it already, for
 * rules with lr inside a buffer (Keras' momentum, Optax' RMSProp): once lr changes, no direction times lr is the same; or
 * a move, which is no multiple of lr at all, such as one to an average (Lookahead).
 */
export type Gives = "direction" | "step" | "move";

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
  /**
   * Where the gradient that `update` is given is taken, from that at the parameters; left out, at the parameters
   * themselves. SAM climbs. `valueAndGradFor` knows it.
   */
  climb?<P>(gradients: P, params: P): P;
  /** What to evaluate and to keep in place of the parameters that are trained, such as their average. */
  evaluated?<P>(params: P, state: TracedState): P;
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
  if (typeof describe !== "string" || typeof (rule as Partial<Rule<S>> | undefined)?.update !== "function") {
    const got = typeof describe !== "string" ? shown(describe) : `${shown(describe)} and ${shown(rule)}`;
    fail(
      `leafwise: expected a description and a rule with an update, got ${got}`,
      'leafwise("sgd", { update: (g) => g })',
    );
  }
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
    const moved = (path: string, p: Tensor, d: Tensor) => {
      if (rule.moves && !rule.moves(path, p)) return p;
      fits(path, p, d);
      return p.add(rule.gives === "direction" ? d.mul(minusLr.cast(p.dtype)) : d.neg());
    };
    return [asOne(() => mapWithPath(moved, context.params, u)), next];
  });
}

/** Types say so too, but not to JavaScript; and `adam` in place of `adam()` is soon written. */
export function requireTransform(what: string, t: unknown): void {
  if (typeof (t as Partial<Transform> | null | undefined)?.update === "function") return;
  if (typeof t === "function") fail(`${what}: ${t.name || "a function"} makes a transform and is none`, "call it");
  fail(`${what}: expected a transform such as adam(), got ${given(t)}`, calls[what]);
}

export const calls: Readonly<Record<string, string>> = {
  only: 'only(under("head"), clipGlobalNorm(1))',
  freeze: 'freeze(under("trunk"), adam())',
  groups: "groups([matrices, muon()], adamW())",
  scaleLr: 'scaleLr(under("trunk"), 0.1, adam())',
};

/** A rule by its name, so that arguments in the wrong order are seen to be. */
export const given = (x: unknown): string =>
  typeof (x as Partial<Transform> | null | undefined)?.update === "function" ? (x as Transform).describe : shown(x);

const at = (path: string) => path || "the top";

/** Throws unless it can be trained. */
export function parameter(path: string, p: unknown): Value {
  if (!(p instanceof Value)) fail(`optim: the parameter at ${at(path)} is not a Value`);
  if (p.dtype !== "f32" && p.dtype !== "f64") {
    fail(`optim: the parameter at ${at(path)} is ${p}; only floats can be trained`, "keep integers in the state");
  }
  return p;
}

/** Throws unless u is a gradient of that parameter. */
export function fits(path: string, p: Tensor, u: unknown): void {
  if (!(u instanceof Tensor)) fail(`update: there is no gradient for the parameter at ${at(path)}, ${p}`);
  if (!sameShape(p.shape, u.shape) || p.dtype !== u.dtype) {
    fail(`update: the parameter at ${at(path)} is ${p}, its gradient ${u}`);
  }
}

/** A Value with p's dtype, and its shape unless another is given, and one number everywhere. */
export function filled(p: Value, x = 0, shape: Shape = p.shape): Value {
  return x === 0 ? zeros(p.dtype, shape) : new Value(p.dtype, shape, new dtypes[p.dtype].array(size(shape)).fill(x));
}
