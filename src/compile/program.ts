/**
 * A program: what one step does, as kernels over buffers, with every byte placed before the first step.
 *
 * State is read and written in place. Feeds and outputs are one slice per step of a loop over many steps; resident
 * data stays where it is. All of it but the temporaries is given by whoever runs the program.
 */
import type { DType, Half } from "../ir/dtype.ts";
import { type Expr, everyIn, loadsIn } from "../ir/expr.ts";
import type { Range } from "../ir/ops.ts";
import type { Shape } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Band } from "./band.ts";

export type Role = "state" | "resident" | "feed" | "output" | "temporary" | "scratch";

/**
 * A tensor that has memory. `at` is a byte offset for state, temporaries and scratch, a position in its list for the
 * others. Of a buffer in scratch there is one block of slices per thread.
 */
export type Buffer = {
  readonly name: string;
  readonly role: Role;
  readonly at: number;
  readonly dtype: DType;
  /** Where an element lies in memory other than as its dtype: a load widens it, a store drops the bits that are 0. */
  readonly storage?: Half;
  readonly shape: Shape;
  /** What it holds, for messages. */
  readonly tensor: Tensor;
};

export type Loop = { readonly name: string; readonly n: number };
export type Store = { readonly buffer: Buffer; readonly at: Expr; readonly value: Expr };
export type Reduction = {
  readonly name: string;
  readonly loops: readonly Loop[];
  readonly value: Expr;
  readonly zero: number;
  readonly join: "add" | "max";
};

/** At each index of `loops`: the reductions in order, then the stores. */
export type Nest = {
  readonly kind: "nest";
  readonly loops: readonly Loop[];
  readonly reductions: readonly Reduction[];
  readonly stores: readonly Store[];
};

/** Fill with `zero`, then join each `value` into its `at` over all of `loops`: reductions along rows, and scatters. */
export type Accumulate = {
  readonly kind: "accumulate";
  readonly loops: readonly Loop[];
  readonly stores: readonly Store[];
  readonly zero: number;
  readonly join: "add" | "max";
};

/** One axis of a sum: how long it is, and the elements between neighbours in A and in B. */
export type Step = { readonly n: number; readonly a: number; readonly b: number };

/**
 * C[m, n] = Σ_k A[m, k] · B[k, n], once per index of `loops`, which shift the three matrices. k runs over all axes of
 * `sum`, the last one fastest; a matrix product has one of them, a convolution one for the channel and each tap.
 */
export type Contraction = {
  readonly kind: "contraction";
  readonly loops: readonly Loop[];
  readonly m: number;
  readonly n: number;
  readonly sum: readonly Step[];
  readonly a: Matrix;
  readonly b: Matrix;
  readonly c: Result;
};
/** `at` shifts the matrix by the outer loops; `stride` is between neighbours along m of A, along n of B. */
export type Matrix = { readonly buffer: Buffer; readonly at: Expr; readonly stride: number };
export type Result = { readonly buffer: Buffer; readonly at: Expr; readonly strides: Strides };
/** Elements between neighbours along m and along n. */
export type Strides = { readonly row: number; readonly col: number };

export type Kernel = Nest | Accumulate | Contraction;

/** Integers that must lie in 0 … n − 1 (or equal `except`), checked when the input arrives. */
export type Check = {
  readonly input: Tensor;
  /** Of the input, [from, to) on each axis: nobody looks at the rest. */
  readonly part: readonly Range[];
  readonly n: number;
  readonly what: string;
  readonly except?: number;
};

export type Program = {
  readonly bands: readonly Band[];
  /** Those of all bands, in order. */
  readonly kernels: readonly Kernel[];
  readonly state: readonly Buffer[];
  readonly resident: readonly Buffer[];
  readonly feeds: readonly Buffer[];
  readonly outputs: readonly Buffer[];
  readonly stateBytes: number;
  readonly temporaryBytes: number;
  /** Of one thread, for what lives within a block of a band. */
  readonly scratchBytes: number;
  /** Every buffer by the name that expressions load it with. */
  readonly named: ReadonlyMap<string, Buffer>;
  readonly checks: readonly Check[];
  /** Position in `outputs` of a scalar float that ends the loop in the step in which it is not finite. */
  readonly watch: number | undefined;
};

/** What a nest or an accumulation computes, places included. */
function expressionsOf(k: Nest | Accumulate): Expr[] {
  const values = k.kind === "nest" ? k.reductions.map((r) => r.value) : [];
  return [...values, ...k.stores.flatMap((s) => [s.at, s.value])];
}

type Touched = { readonly writes: readonly Buffer[]; readonly reads: readonly Buffer[] };
const touched = new WeakMap<Kernel, Touched>(); // most passes ask, of the same kernels

/** The buffers a kernel touches: what it writes first, then what it reads, each once. */
export function buffersOf(k: Kernel, named: ReadonlyMap<string, Buffer>): Touched {
  const found = touched.get(k) ?? touchedBy(k, named);
  touched.set(k, found);
  return found;
}

function touchedBy(k: Kernel, named: ReadonlyMap<string, Buffer>): Touched {
  if (k.kind === "contraction") return { writes: [k.c.buffer], reads: [...new Set([k.a.buffer, k.b.buffer])] };
  return {
    writes: [...new Set(k.stores.map((s) => s.buffer))],
    reads: [...new Set(loadsIn(expressionsOf(k)).map((e) => named.get(e.arg as string)!))],
  };
}

/** The largest index that a kernel computes with. Those of a contraction lie within its matrices. */
export function farthest(k: Kernel): number {
  if (k.kind === "contraction") return 0;
  let most = 0;
  for (const { dtype, hi } of everyIn(expressionsOf(k))) {
    if (dtype === "i32" && hi > most && hi !== Infinity) most = hi; // a user's integers have no bounds
  }
  return most;
}
