/**
 * Models of PyTorch: a state dict is a flat map of names to tensors, and the names of a module's children are PyTorch's
 * own, so a tree of Values is one nearly as it stands. What remains is here: nn.Sequential numbers its layers and has no
 * segment `layers`; tied weights are one tensor here and several names there; wrappers put a segment before all names;
 * and checkpoints hold buffers that no computation needs.
 */
import { listed, nearest } from "../data/near.ts";
import type { Float } from "../ir/dtype.ts";
import { fail } from "../ir/fail.ts";
import { type Shape, sameShape } from "../ir/shape.ts";
import { Value, value } from "../ir/value.ts";
import {
  type Child,
  grow,
  type Module,
  type ParamSpec,
  type Params,
  type State,
  type StateSpec,
} from "../nn/module.ts";
import { isSequential } from "../nn/sequential.ts";
import type { Tensors } from "../train/safetensors.ts";
import * as tree from "../tree.ts";
import { requireNet, requireObject, requireParams, tensorsIn } from "./given.ts";

export type ToStateDictOptions = {
  /**
   * Tied weights under each of their names, as `state_dict()` has them and `load_state_dict` asks for, or under the
   * `first` alone, as safetensors files of Hugging Face have them. `all` unless given.
   */
  readonly tied?: "all" | "first";
  /** GPT-2's c_attn, c_proj and c_fc as [in, out], as transformers' Conv1D has them; false unless given. */
  readonly conv1d?: boolean;
};

export type FromStateDictOptions<N extends Module> = {
  /** What the tensors are called in errors, such as the name of their file. */
  readonly source?: string;
  /** The net's name for a tensor, or undefined for one that is not wanted. */
  readonly rename?: (name: string) => string | undefined;
  /** Taken where the tensors lack something, as a new head does on a trained trunk; without it that is an error. */
  readonly start?: { readonly params: Params<N>; readonly state: State<N> };
  /**
   * Whether GPT-2's c_attn, c_proj and c_fc are [in, out], as transformers' Conv1D has them. Unless given, the ones
   * that are not square decide for all: the square c_proj of attention would fit both ways.
   */
  readonly conv1d?: boolean;
  /** Of the result; f32 unless given. */
  readonly dtype?: Float;
};

type Spec = ParamSpec | StateSpec;

/**
 * A model as PyTorch's `load_state_dict(…, strict=True)` takes it: parameters and state by PyTorch's names. To be given
 * to `writeSafetensors`. Batch norm's `num_batches_tracked` is left out; PyTorch fills it in.
 *
 * Throws where params and state are not the net's.
 */
export function toStateDict<N extends Module>(
  net: N,
  model: { readonly params: Params<N>; readonly state?: State<N> },
  options: ToStateDictOptions = {},
): Map<string, Value> {
  const call = "toStateDict(net, { params, state })";
  requireNet("toStateDict: net", net);
  requireParams("toStateDict", model, call);
  requireObject("toStateDict: options", options, 'toStateDict(net, { params, state }, { tied: "first" })');
  const { params, state = {} } = model;
  const { tied = "all", conv1d = false } = options;
  const at = new Map([...tree.paths<Value>(params), ...tree.paths<Value>(state)]);
  const own = pathsOf(net);
  const out = new Map<string, Value>();
  for (const [spec, names] of namesOf(net)) {
    const path = own.get(spec)!;
    const v = at.get(path);
    if (!(v instanceof Value)) return fail(`toStateDict: params and state have nothing at ${path}`, otherNet);
    if (!sameShape(v.shape, spec.shape))
      fail(`toStateDict: ${path} is ${v}, the net expects [${spec.shape}] there`, otherNet);
    at.delete(path);
    for (const name of tied === "all" ? names : names.slice(0, 1))
      out.set(name, conv1d && isConv1d(name) ? transposed(v) : v);
  }
  for (const path of at.keys()) fail(`toStateDict: the net has nothing called ${path}`, otherNet);
  return out;
}

/**
 * Parameters and state of a net from a PyTorch state dict, which is a Map, an object, or what
 * `readSafetensors` gives, for `apply`,
 * `predict` or `fit`'s `start`.
 *
 * - A first segment that all names share and the net has not is dropped: `module.` of DataParallel, `_orig_mod.` of
 *   torch.compile, `model.` of Lightning. One that they lack is added: `transformer.` in files of Hugging Face's GPT2Model.
 * - Left aside unless the net has them: `num_batches_tracked` of batch norm, and the causal mask that GPT-2 checkpoints
 *   hold as `attn.bias` and `attn.masked_bias`.
 * - A tied weight is taken from any of its names; where several are there, they must hold the same numbers.
 * - Floats are rounded to `dtype`; what has it already is kept, not copied.
 *
 * Throws, with all of them at once, at names that are missing or unknown, at other shapes, at integers for parameters
 * and at tied weights that differ.
 */
export function fromStateDict<N extends Module>(
  net: N,
  tensors: Tensors | { readonly tensors: Tensors } | Readonly<Record<string, Value>>,
  options: FromStateDictOptions<N> = {},
): { params: Params<N>; state: State<N> } {
  requireNet("fromStateDict: net", net);
  const all = tensorsIn("fromStateDict", tensors, "fromStateDict(net, readSafetensors(readFileSync(path)))");
  requireObject("fromStateDict: options", options, 'fromStateDict(net, tensors, { source: "model.safetensors" })');
  const { source = "the state dict", rename, start, conv1d, dtype = "f32" } = options;
  const names = namesOf(net);
  const expected = new Map([...names].flatMap(([spec, places]) => places.map((name) => [name, spec] as const)));
  const given = fitted(renamed(all, rename, source), expected, source);
  const shapes = new Map([...given].map(([name, v]) => [name, v.shape]));
  if (conv1d ?? looksLikeConv1d(shapes, expected))
    for (const [name, v] of given) if (isConv1d(name) && v.shape.length === 2) given.set(name, transposed(v));

  const problems = { missing: [] as string[], unknown: [] as string[], others: [] as string[] };
  for (const [name, v] of given) if (!expected.has(name) && !isIgnorable(name, v)) problems.unknown.push(name);
  const found = new Map<Spec, Value>();
  if (start) requireParams("fromStateDict: start", start, "start: init(net, 1)");
  const ready = start && new Map([...tree.paths<Value>(start.params), ...tree.paths<Value>(start.state)]);
  const own = pathsOf(net);
  for (const [spec, places] of names) {
    const here = places.filter((name) => given.has(name));
    for (const name of here) {
      const v = given.get(name)!;
      if (!sameShape(v.shape, spec.shape)) problems.others.push(`"${name}" is ${v}, the net has [${spec.shape}]`);
      else if (spec.kind === "param" && v.dtype !== "f32" && v.dtype !== "f64")
        problems.others.push(`"${name}" is ${v}, a parameter is a float`);
      else if (found.has(spec) && !sameNumbers(found.get(spec)!, v))
        problems.others.push(`"${here[0]}" and "${name}" differ, and the net has one weight for both`);
      else found.set(spec, v);
    }
    if (here.length > 0) continue;
    const old = ready?.get(own.get(spec)!);
    if (old) found.set(spec, old);
    else problems.missing.push(places[0]!);
  }
  refuse(problems, source);
  const leaf = (spec: Spec) => {
    const v = found.get(spec)!;
    return v.dtype === dtype ? v : value(v.shape, v.data, dtype);
  };
  return { params: grow(net, "param", leaf) as Params<N>, state: grow(net, "state", leaf) as State<N> };
}

const otherNet = "these are the parameters of another module";

/** Params and states with all their names in PyTorch, in the order of the tree; the first is where the numbers are. */
function namesOf(net: Module): Map<Spec, string[]> {
  const names = new Map<Spec, string[]>();
  const walk = (c: Child, name: string): void => {
    if (typeof c === "function") return;
    if ("kind" in c && (c.kind === "param" || c.kind === "state")) {
      const spec = c as Spec;
      names.set(spec, [...(names.get(spec) ?? []), name]);
    } else if ("kind" in c && c.kind === "module") {
      const m = c as Module;
      walk(isSequential(m) ? m.children.layers : m.children, name);
    } else {
      for (const [key, below] of Object.entries(c)) walk(below, name ? `${name}.${key}` : key);
    }
  };
  walk(net, "");
  return names;
}

/** Where their numbers are in our trees. */
function pathsOf(net: Module): Map<Spec, string> {
  const paths = new Map<Spec, string>();
  for (const kind of ["param", "state"] as const) grow(net, kind, (spec, path) => paths.set(spec, path));
  return paths;
}

function renamed(tensors: Tensors, rename: ((name: string) => string | undefined) | undefined, source: string) {
  const out = new Map<string, Value>();
  for (const [old, v] of tensors) {
    const name = rename ? rename(old) : old;
    if (name === undefined) continue;
    if (out.has(name)) fail(`fromStateDict: ${source}: rename gives the name "${name}" twice`);
    out.set(name, v);
  }
  return out;
}

/** The tensors under names as the net has them, by a first segment less or more. */
function fitted(given: Map<string, Value>, expected: ReadonlyMap<string, Spec>, source: string): Map<string, Value> {
  const first = (name: string) => name.slice(0, name.indexOf(".") + 1);
  const known = new Set([...expected.keys()].map(first));
  const all = (names: Iterable<string>, prefix: string) => [...names].every((name) => name.startsWith(prefix));
  let out = given;
  for (;;) {
    const prefix = first(out.keys().next().value ?? "");
    if (prefix === "" || known.has(prefix) || !all(out.keys(), prefix)) break;
    out = new Map([...out].map(([name, v]) => [name.slice(prefix.length), v]));
  }
  for (const prefix of known) {
    if (prefix === "" || [...out.keys()].some((name) => name.startsWith(prefix))) continue;
    const longer = (name: string) => (!expected.has(name) && expected.has(prefix + name) ? prefix + name : name);
    out = renamed(out, longer, source);
  }
  return out;
}

/** transformers/pytorch_utils.py, Conv1D: a linear layer whose weight is [in, out]. */
const isConv1d = (name: string): boolean => /(^|\.)(c_attn|q_attn|c_proj|c_fc)\.weight$/.test(name);

function looksLikeConv1d(given: ReadonlyMap<string, Shape>, expected: ReadonlyMap<string, Spec>): boolean {
  const telling = [...expected].filter(
    ([name, { shape }]) => isConv1d(name) && given.has(name) && shape.length === 2 && shape[0] !== shape[1],
  );
  return telling.length > 0 && telling.every(([name, { shape }]) => sameShape(given.get(name)!, shape.toReversed()));
}

function transposed(v: Value): Value {
  const [rows, columns] = v.shape as [number, number];
  const data = v.data.slice();
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) data[j * rows + i] = v.data[i * columns + j]!;
  return value([columns, rows], data, v.dtype);
}

/** Buffers that PyTorch saves and no forward here needs. The mask's name is also that of a bias, so its shape counts. */
function isIgnorable(name: string, { shape }: Value): boolean {
  if (/(^|\.)(num_batches_tracked|attn\.masked_bias)$/.test(name)) return shape.length === 0;
  return /(^|\.)attn\.bias$/.test(name) && shape.length === 4 && shape[0] === 1 && shape[1] === 1;
}

const sameNumbers = (a: Value, b: Value): boolean =>
  a.dtype === b.dtype && (a.data === b.data || a.data.every((x: number, k: number) => Object.is(x, b.data[k])));

type Problems = { readonly missing: string[]; readonly unknown: string[]; readonly others: string[] };

function refuse({ missing, unknown, others }: Problems, source: string): void {
  if (missing.length + unknown.length + others.length === 0) return;
  const lines = [`fromStateDict: ${source} does not fit the net`];
  if (missing.length > 0) lines.push(`  missing: ${listed(missing)}`);
  if (unknown.length > 0) lines.push(`  unknown to the net: ${listed(unknown)}`);
  for (const problem of others.slice(0, 12)) lines.push(`  ${problem}`);
  if (others.length > 12) lines.push(`  and ${others.length - 12} more of another shape`);
  const slip = missing
    .slice(0, 12)
    .map((name) => [nearest(name, unknown.slice(0, 1000)), name] as const)
    .find(([near]) => near !== undefined);
  const hint = slip
    ? `is "${slip[0]}" what the net calls "${slip[1]}"? { rename: (name) => … } gives names, undefined drops one`
    : missing.length > 0
      ? "{ start: init(net, seed) } takes what is missing from there; { rename } gives names"
      : unknown.length > 0
        ? "{ rename: (name) => … } gives names, undefined drops one"
        : undefined;
  fail(lines.join("\n"), hint);
}
