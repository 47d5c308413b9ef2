/**
 * A row of the registry of optimizers: dialects with their defaults, and a rule made of the parts in rules.ts. `row` checks
 * what a user gives against what the row knows, so that a rule only computes.
 */
import { fail, shown } from "../ir/fail.ts";
import type { Where } from "./combine.ts";
import { type Chosen, type Common, type Dialect, type Hyper, requireHyper, requireLr, show } from "./hyper.ts";
import type { Optimizer, Transform } from "./transform.ts";

/** Hyper-parameters K have a default in every dialect, those in M may be left out. */
export type Options<K extends keyof Hyper, M extends keyof Hyper = never> = Partial<Pick<Hyper, K | M>> & Common;

export type Row<O extends Common = Common> = {
  /** Throws, naming value and domain, for a hyper-parameter out of its domain, an unknown option or dialect. */
  readonly make: (options?: O) => Optimizer;
  /** Of the default dialect, with a learning rate to start from. */
  readonly defaults: { readonly lr: number } & Partial<Hyper>;
  /** The first is the default. `lr` is the library's own default, where it has one. */
  readonly dialects: { readonly [D in Dialect]?: Partial<Hyper> & { readonly lr?: number } };
  /** The options that `make` takes besides `dialect` and `decayOnly`. */
  readonly options: readonly (keyof Hyper)[];
  readonly summary: string;
  /** The rule in the paper's notation, a line for each assignment: g the gradient, p the parameter, η the rate, t the step. */
  readonly formula: string;
  /** When to take it, and when not: a sentence or two. */
  readonly when: string;
  /** Paper and algorithm. */
  readonly source: string;
};

type Written<K extends keyof Hyper, M extends keyof Hyper> = {
  readonly lr: number;
  readonly dialects: { readonly [D in Dialect]?: Pick<Hyper, K> & Partial<Pick<Hyper, M>> & { readonly lr?: number } };
  readonly optional?: readonly M[];
  readonly summary: string;
  readonly formula: string;
  readonly when: string;
  readonly source: string;
  readonly rule: (o: Chosen<Pick<Hyper, K> & Partial<Pick<Hyper, M>>>) => Transform;
};

export function row<K extends keyof Hyper, M extends keyof Hyper = never>(
  name: string,
  r: Written<K, M>,
): Row<Options<K, M>> {
  requireLr(name, r.lr);
  const [first] = Object.keys(r.dialects) as Dialect[];
  const { lr: _, ...defaults } = r.dialects[first!]!;
  const known = [...new Set([...Object.keys(defaults), ...(r.optional ?? [])])] as (K | M)[];
  const make = (options: Options<K, M> = {}): Optimizer => {
    if (typeof options !== "object" || options === null)
      fail(`${name}: options are an object, got ${shown(options)}`, `it takes ${known.join(", ")}`);
    const { dialect = first!, decayOnly, ...given } = options;
    if (decayOnly !== undefined && typeof decayOnly !== "function")
      fail(`${name}: decayOnly must be a function of path and parameter, such as matrices, got ${shown(decayOnly)}`);
    const table = r.dialects[dialect];
    if (!table) fail(`${name}: there is no dialect ${show(dialect)}`, `it has ${Object.keys(r.dialects).join(", ")}`);
    const { lr: _, ...hyper } = { ...table } as Partial<Hyper> & { lr?: number };
    for (const [key, x] of Object.entries(given)) {
      if (x === undefined) continue;
      if (key === "lr")
        fail(`${name}: lr is no option of a rule`, "it may change from step to step: give it to fit, or to update");
      if (!known.includes(key as K)) fail(`${name}: there is no option ${key}`, `it takes ${known.join(", ")}`);
      if (x !== table[key as K]) requireHyper(name, key as K | M, x);
      Object.assign(hyper, { [key]: x });
    }
    const chosen = { ...hyper, dialect, ...(decayOnly && { decayOnly }) };
    const rule = r.rule(chosen as Chosen<Pick<Hyper, K> & Partial<Pick<Hyper, M>>>);
    return { ...rule, describe: described(name, hyper, dialect, decayOnly) };
  };
  Object.defineProperty(make, "name", { value: name }); // for the message to those who forget to call it
  const { rule: _rule, optional: _optional, lr, ...about } = r;
  return { ...about, make, defaults: { ...(defaults as Partial<Hyper>), lr }, options: known };
}

/** `adamW(b1 0.9, b2 0.999, eps 1e-8, weightDecay 0.01 on matrices; torch)`; what is 0 or off is left out. */
function described(name: string, hyper: Partial<Hyper>, dialect: Dialect, decayOnly: Where | undefined): string {
  const parts = Object.entries(hyper).flatMap(([key, x]) => {
    if (!x) return [];
    if (x === true) return [key];
    if (typeof x === "function") return [`${key} ${x.name || "some"}`];
    const where = key === "weightDecay" && decayOnly ? ` on ${decayOnly.name || "some"}` : "";
    return [typeof x === "object" ? `${key} ${x.low} to ${x.high}` : `${key} ${x}${where}`];
  });
  return `${name}(${parts.length ? `${parts.join(", ")}; ` : ""}${dialect})`;
}
