/**
 * Everything a run needs to go on as if it had never stopped: tensors by name, and a little JSON. Batches and random
 * draws are functions of the position, so there is no hidden state to save.
 */
import { fail } from "../ir/fail.ts";
import { sameShape } from "../ir/shape.ts";
import { Value } from "../ir/value.ts";
import * as tree from "../tree.ts";
import type { Position } from "./plan.ts";
import type { Tensors } from "./safetensors.ts";
import type { Scale } from "./scaling.ts";

/** Of an epoch or of several: `validateEvery` of them are one entry. Losses are means over examples. */
export type Entry = {
  /** Whole epochs done. */
  readonly epoch: number;
  /** Updates done. */
  readonly step: number;
  /** Over all updates since the last entry, each as it was before its step. */
  readonly trainLoss: number;
  /** Mean over those updates. */
  readonly gradientNorm: number;
  /** Of the last of them. */
  readonly lr: number;
  /** In f16: what the loss is scaled by from here on, and the steps skipped since the last entry. */
  readonly scale?: number;
  readonly skipped?: number;
  readonly validationLoss?: number;
  readonly metrics?: Readonly<Record<string, number>>;
};

/** Sums since the last entry, in the order of the steps. */
export type Sums = {
  readonly loss: number;
  readonly weight: number;
  readonly norm: number;
  readonly updates: number;
  /** In f16. */
  readonly skipped?: number;
};

/** Where early stopping stands: the best entry, and how many came after it. */
export type Best = { readonly value: number; readonly epoch: number; readonly step: number; readonly since: number };

/** What must be the same for a run to go on. */
export type Setup = Readonly<Record<string, string | number | boolean>>;

export type Progress = {
  readonly position: Position;
  readonly sums: Sums;
  readonly history: readonly Entry[];
  readonly best?: Best;
  /** Loss of the first step: what divergence is measured by. */
  readonly firstLoss: number;
  /** In f16. */
  readonly scaling?: Scale & { readonly skipped: number };
  readonly secondsTraining: number;
};

// any: trees as the net and the rule made them
export type Model = { readonly params: any; readonly state: any };
export type Checkpoint = {
  readonly trained: Model & { readonly opt: any };
  readonly bestModel?: Model;
  readonly setup: Setup;
  readonly progress: Progress;
};

/** A checkpoint as named tensors and text. */
export type Packed = { readonly tensors: Tensors; readonly about: string };

const version = 1;

export function pack({ trained, bestModel, setup, progress }: Checkpoint): Packed {
  const tensors = new Map(tree.paths<Value>({ ...trained, ...(bestModel && { best: bestModel }) }));
  return { tensors, about: JSON.stringify({ version, setup, progress }, spell) };
}

/**
 * Back again, in the trees of `like`. `source` names it in errors. Throws where another version or another setup wrote
 * it, or its tensors are not those of `like`.
 */
export function unpack(
  { tensors, about }: Packed,
  like: { trained: Checkpoint["trained"]; setup: Setup },
  source: string,
): Checkpoint {
  const { version: written, setup, progress } = read(about, source);
  if (written !== version) {
    fail(
      `${source}: written in version ${written} of the format, this is version ${version}`,
      "resume it with the version of downhill that wrote it",
    );
  }
  for (const name of new Set([...Object.keys(setup), ...Object.keys(like.setup)])) {
    const now = like.setup[name];
    if (setup[name] === now) continue;
    const told = (x: Setup[string] | undefined) => x ?? "not given";
    fail(
      `${source}: the run had ${name} ${told(setup[name])}, now it is ${told(now)}`,
      "resume with what the run began with, or train into another folder",
    );
  }
  const take = (prefix: string, skeleton: unknown) => treeFrom(tensors, skeleton, prefix, source);
  const { params, state } = like.trained;
  const trained = { params: take("params", params), state: take("state", state), opt: take("opt", like.trained.opt) };
  const bestModel = progress.best && { params: take("best.params", params), state: take("best.state", state) };
  const expected = tree.leaves({ ...like.trained, ...(bestModel && { best: { params, state } }) }).length;
  if (tensors.size !== expected)
    fail(`${source}: it holds ${tensors.size} tensors, this run has ${expected}`, otherNet);
  return { trained, setup, progress, ...(bestModel && { bestModel }) };
}

/** A model's tensors by path, such as `layers.0.weight`: parameters, then state. */
export function modelTensors({ params, state }: Model): [string, Value][] {
  return [...tree.paths<Value>(params), ...tree.paths<Value>(state)];
}

/** A model in the trees of `like`, as `init(net, seed)` gives them. Throws unless each tensor is there and none is left. */
export function modelFrom<M extends Model>(tensors: Tensors, like: M, source = "model"): M {
  const model = {
    params: treeFrom(tensors, like.params, "", source),
    state: treeFrom(tensors, like.state, "", source),
  };
  const known = new Set(modelTensors(like).map(([name]) => name));
  for (const name of tensors.keys())
    if (!known.has(name)) fail(`${source}: the net has nothing called "${name}"`, otherNet);
  return model as M;
}

const otherNet = "it belongs to another net or optimizer";

function treeFrom(tensors: Tensors, like: unknown, prefix: string, source: string): unknown {
  return tree.mapWithPath((path, v: Value) => {
    const name = [prefix, path].filter(Boolean).join(".");
    const found = tensors.get(name);
    if (!(found instanceof Value)) fail(`${source}: there is no "${name}" in it`, otherNet);
    if (found.dtype !== v.dtype || !sameShape(found.shape, v.shape))
      fail(`${source}: "${name}" is ${found}, expected ${v}`, otherNet);
    return found;
  }, like);
}

type Written = { version: number; setup: Setup; progress: Progress };

function read(about: string, source: string): Written {
  try {
    return JSON.parse(about, (_, x: unknown) =>
      typeof x === "string" && x in spelled ? spelled[x as Spelled] : x,
    ) as Written;
  } catch {
    return fail(`${source}: its description is not JSON`, "the file is damaged; train again, or copy it again");
  }
}

/** JSON has no word for them, and losses and metrics may be any of them. */
const spelled = { NaN, Infinity, "-Infinity": -Infinity };
type Spelled = keyof typeof spelled;
const spell = (_: string, x: unknown) => (typeof x === "number" && !Number.isFinite(x) ? String(x) : x);
