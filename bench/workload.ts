/** What a workload is: a training step as a user writes it, its numbers, and what is known of it beforehand. */
import type { BackendName, Loop, Run, Value } from "downhill";

/** A run that is ready to take steps. */
export type Ready = {
  // any: each workload has a state, feeds and data of its own
  readonly run: Run<any>;
  readonly loop: Loop<any, any, any, any>;
};

/** Trees of Values: what is trained, and what it is trained on. `state` is what a network carries beside parameters. */
export type Numbers<P = unknown, D = unknown> = { readonly params: P; readonly state?: unknown; readonly data: D };

export type Workload<N extends Numbers = any> = {
  readonly name: string;
  readonly about: string;
  /** Steps per call: the length of the loop that runs without leaving the program. */
  readonly steps: number;
  /** Operations on f32 that a step needs: a multiply-add of its products is two. */
  readonly flops: number;
  /** Bytes that it has to read and write at least: what it changes, and what it is fed. */
  readonly bytes: number;
  /** Take every call from the first state. Not where that would be a copy of hundreds of megabytes. */
  readonly restart?: boolean;
  /** Steps after which ours and a peer's results are compared, and how far they may be apart, relatively. */
  readonly checked: { readonly steps: number; readonly within: number };
  /** Made in each process anew, and not timed. */
  readonly numbers: () => N;
  /** What so many steps are fed. */
  readonly feeds: (steps: number) => Readonly<Record<string, Value>>;
  readonly start: (numbers: N, backend: BackendName | "auto") => Promise<Ready>;
};

/**
 * Operations of a step of a dense network, Σ 2 · batch · in · out: forward, the weights' gradients, and the inputs' ones
 * for all layers but the first.
 */
export const denseFlops = (batch: number, widths: readonly number[]): number =>
  widths.slice(1).reduce((sum, out, k) => sum + (k === 0 ? 4 : 6) * batch * widths[k]! * out, 0);

/** Bytes of a dense network's step by Adam: its rows, and parameters with two moments, read and written. */
export const denseBytes = (batch: number, widths: readonly number[]): number =>
  4 * batch * widths[0]! + adamBytes(widths.slice(1).reduce((sum, out, k) => sum + (widths[k]! + 1) * out, 0));

/** Of so many parameters and their two moments, each read and written. */
export const adamBytes = (parameters: number): number => 6 * 4 * parameters;
