/**
 * Transforms put together: one after the other, or each on its part of the parameters. What a link adds beside its
 * direction, a point to climb to or an average to evaluate, is passed on by what it is put into.
 */
import { fail, shown } from "../ir/fail.ts";
import type { Shape } from "../ir/shape.ts";
import { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { leaves, map, mapWithPath, paths } from "../tree.ts";
import { calls, given, type Optimizer, requireTransform, type TracedState, type Transform } from "./transform.ts";

/** One after the other. Throws where one that gives a step is not the last: λ·p after it would have the wrong unit. */
export function chain(...links: readonly Transform[]): Transform {
  links.forEach((link) => requireTransform("chain", link));
  const last = links.at(-1) ?? fail("chain: there is nothing to chain");
  links.slice(0, -1).forEach(requireDirection);
  links.forEach((link) => requireUnfrozen("chain", link));
  const climber = theOne(links, "climb");
  const averager = theOne(links, "evaluated");
  return {
    gives: last.gives,
    describe: links.map((link) => link.describe).join(" → "),
    ...(climber && { climb: (gradients, params) => climber.climb!(gradients, params) }),
    ...(averager && {
      evaluated: (params, state) => averager.evaluated!(params, state[links.indexOf(averager)] as TracedState),
    }),
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

/** The link of a chain that climbs, or that averages: two would undo each other. */
function theOne(links: readonly Transform[], what: "climb" | "evaluated"): Transform | undefined {
  const [one, other] = links.filter((link) => link[what]);
  if (one && other) {
    const does = what === "climb" ? "say where the gradient is taken" : "say what is evaluated";
    fail(`chain: ${one.describe} and ${other.describe} both ${does}`, "leave one of them out");
  }
  return one;
}

/** Which parameters: by path, such as `layers.0.bias`, and by shape. */
export type Where = (path: string, p: { readonly shape: Shape }) => boolean;

/** Rank 2 and more: weights, but neither biases nor the scales of a normalisation. */
export const matrices: Where = (_, p) => p.shape.length >= 2;

/** Parameters whose path matches; asked with `search`, as `test` with /g begins where it last ended. */
export function named(pattern: RegExp): Where {
  if (!((pattern as unknown) instanceof RegExp)) {
    fail(`named: expected a regular expression of paths, got ${shown(pattern)}`, "named(/bias$/)");
  }
  return titled(`named(${pattern})`, (path) => path.search(pattern) >= 0);
}

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
    ...onPart(where, transform),
    init: (params) => transform.init(pruned(where, params, params)),
    update(direction, state, { params, step, lr }) {
      const within = { params: pruned(where, params, params), step, lr };
      const [u, next] = transform.update(pruned(where, params, direction), state, within);
      return [merged(where, params, direction, u), next];
    },
  };
}

/**
 * Each parameter by the rule of the first group that it is in, the others by `rest`: Muon for matrices and AdamW for all
 * else, `groups([matrices, muon()], adamW())`; or another decay in one part. A rule sees its own parameters alone, so a
 * global norm is that of its group. For another rate alone `scaleLr` is enough.
 *
 * `init` throws where a group has no parameter, or one that another group before it has taken.
 */
export function groups(...list: readonly [...(readonly [Where, Optimizer])[], Optimizer]): Optimizer {
  const rest = list.at(-1) as Optimizer;
  const some = list.slice(0, -1) as (readonly [Where, Optimizer])[];
  requireTransform("groups", rest);
  if (some.length === 0) fail("groups: there is no group beside the rest", calls.groups);
  for (const group of some) {
    if (!Array.isArray(group)) fail("groups: all but the last are pairs [where, rule]", calls.groups);
    requireWhere("groups", group[0]);
    requireTransform("groups", group[1]);
  }
  const rules = [...some.map(([, rule]) => rule), rest];
  for (const rule of rules) requireUnfrozen("groups", rule);
  const parts = rules.map((rule, k) => {
    const mine = k < some.length ? k : -1;
    const where: Where = (path, p) => some.findIndex(([where]) => where(path, p)) === mine;
    return { rule, where, ...onPart(where, rule) };
  });
  const titles = some.map(([where, rule]) => `${where.name || "some"}: ${rule.describe}`);
  const describe = `groups(${[...titles, `rest: ${rest.describe}`].join("; ")})`;
  const gives = rules.find((rule) => rule.gives !== "direction")?.gives ?? "direction";
  return {
    gives,
    describe,
    ...(rules.some((rule) => rule.climb) && {
      climb: (gradients, params) => parts.reduce((at, { climb }) => climb?.(gradients, at) ?? at, params),
    }),
    ...(rules.some((rule) => rule.evaluated) && {
      evaluated: (params, state) =>
        parts.reduce((now, { evaluated }, k) => evaluated?.(now, state[k] as TracedState) ?? now, params),
    }),
    init(params) {
      const inits = parts.map(({ rule, where }, k) => {
        const own = pruned(where, params, params);
        if (k < some.length) requireSome(describe, some[k]![0], params);
        if (k < some.length && leaves(own).length === 0) {
          fail(`${describe}: groups before it have all parameters of group ${k + 1}`, "put the narrower group first");
        }
        return [k, rule.init(own)];
      });
      return Object.fromEntries(inits);
    },
    update(direction, state, { params, step, lr }) {
      let all = direction;
      const next = parts.map(({ rule, where }, k) => {
        const context = { params: pruned(where, params, params), step, lr };
        const [u, s] = rule.update(pruned(where, params, direction), state[k] as TracedState, context);
        const alike = gives === "direction" || rule.gives !== "direction";
        all = merged(where, params, all, alike ? u : map((d: Tensor) => d.mul(lr.cast(d.dtype)), u));
        return [k, s];
      });
      return [all, Object.fromEntries(next)];
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
    ...onPart(rest, rule),
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
  if (rule.gives === "move") {
    fail(`scaleLr: what ${rule.describe} moves is no multiple of the learning rate`, "scale the rule within it");
  }
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

/** `after` where the parameter is in the part, `before` elsewhere. */
const merged = <P>(where: Where, params: unknown, before: P, after: P): P =>
  mapWithPath((path, p, x, y) => (where(path, p) ? y : x), params, before, after);

/** Where a rule on a part climbs to and what it evaluates; the other parameters stay as they are. */
function onPart(where: Where, { climb, evaluated }: Transform): Pick<Transform, "climb" | "evaluated"> {
  const part = <P>(params: P, tree: P) => pruned(where, params, tree);
  return {
    ...(climb && { climb: (g, params) => merged(where, params, params, climb(part(params, g), part(params, params))) }),
    ...(evaluated && {
      evaluated: (params, state) => merged(where, params, params, evaluated(part(params, params), state)),
    }),
  };
}

function requireWhere(what: string, where: unknown): void {
  if (typeof where === "function") return;
  const hint = typeof where === "string" ? `under(${JSON.stringify(where)})` : calls[what];
  fail(`${what}: which parameters is said by a function of path and shape, got ${given(where)}`, hint);
}

function requireDirection(t: Transform): void {
  if (t.gives !== "direction")
    fail(`chain: ${t.describe} has the learning rate in it, so it must come last, for all parameters`);
}

/** What is frozen is hidden from the whole rule, so `freeze` is the outermost. */
export function requireUnfrozen(what: string, t: Transform): void {
  if (t.moves) fail(`${what}: ${t.describe} must go around the whole rule`, "freeze(where, chain(…))");
}

/** A part of the net that does not exist is a mistyped one. */
function requireSome(what: string, where: Where, params: unknown): void {
  const all = paths<Value>(params);
  if (all.some(([path, p]) => where(path, p))) return;
  const few = all.slice(0, 6).map(([path]) => path);
  fail(`${what}: there is no such parameter`, `there are ${few.join(", ")}${all.length > few.length ? ", …" : ""}`);
}
