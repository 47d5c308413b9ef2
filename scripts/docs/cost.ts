/** What a rule remembers, and what a step of it costs: read off its state and its compiled update, so never measured. */
import { compile } from "../../src/compile/compile.ts";
import { costOf } from "../../src/compile/cost.ts";
import { input, type Tensor, type Value, value } from "../../src/ir/index.ts";
import { size } from "../../src/ir/shape.ts";
import { bytesOf } from "../../src/ir/value.ts";
import { type Optimizer, update } from "../../src/optim/index.ts";
import { leaves, map } from "../../src/tree.ts";

export type StateSize = {
  /** Floats per parameter of a 64 × 32 matrix; single numbers, one for a tensor or a net, are not counted. */
  readonly ofMatrix: number;
  /** The same of a vector of 32. */
  readonly ofVector: number;
  /** Bytes for 1000 × 1000 parameters in f32. */
  readonly ofMillion: number;
};

const zeros = (shape: readonly number[]): Value => value(shape, new Float32Array(size(shape)));

export function stateOf(rule: Optimizer): StateSize {
  const kept = (shape: readonly number[]) => leaves<Value>(rule.init({ p: zeros(shape) }));
  const counted = (v: Value) => (v.shape.length > 0 ? size(v.shape) : 0);
  const floats = (shape: readonly number[]) => kept(shape).reduce((all, v) => all + counted(v), 0) / size(shape);
  const ofMillion = kept([1000, 1000]).reduce((all, v) => all + bytesOf(v), 0);
  return { ofMatrix: floats([64, 32]), ofVector: floats([32]), ofMillion };
}

export type StepCost = {
  /** Bytes that a step reads and writes, per parameter: state, parameters, gradients, and what it computes between. */
  readonly moved: number;
  /** Operations on floats per parameter. */
  readonly operations: number;
};

/** Of the update of a 512 × 512 matrix in f32 whose gradient is given. */
export function costOfStep(rule: Optimizer): StepCost {
  const shape = [512, 512];
  const traced = (v: Value): Tensor => input(v.shape, v.dtype, "state");
  const [params, g] = [{ p: traced(zeros(shape)) }, { p: traced(zeros(shape)) }];
  const state = map(traced, rule.init({ p: zeros(shape) }));
  const [step, lr] = [input([], "f32", "step"), input([], "f32", "lr")];
  const next = leaves<Tensor>(update(rule, g, state, { params, step, lr }));
  const pairs = leaves<Tensor>([params, state]).map((now, k) => ({ now, next: next[k]! }));
  const { kernels, named } = compile({ state: pairs, resident: [g.p], feeds: [step, lr], outputs: [] });
  const costs = kernels.map((kernel) => costOf(kernel, named));
  const perParameter = (what: "bytes" | "flops") => costs.reduce((all, c) => all + c[what], 0) / size(shape);
  return { moved: perParameter("bytes"), operations: perParameter("flops") };
}
