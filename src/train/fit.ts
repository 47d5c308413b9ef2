/** `fit`: training by updates from batches (trainer.ts), or by a method that sees all rows at once (full-batch.ts). */
import { isMethod } from "../minimize/method.ts";
import type { Module } from "../nn/index.ts";
import type { FitOptions, FitResult } from "./fit-options.ts";
import { type FullBatchResult, fitFullBatch } from "./full-batch.ts";
import type { FullBatchOptions } from "./full-batch-options.ts";
import { Trainer } from "./trainer.ts";

/**
 * Train a net. The same seed, data and options on the same backend and machine give the same bits, whether the run was
 * interrupted or not. With a method of `downhill/minimize` for an optimizer, a step is one of its iterations over all rows.
 *
 * Throws a DownhillError where options or data are unusable, and a NonFiniteError, which says what happened, where loss
 * or gradients stop being numbers or the loss leaves all bounds; a store then holds the state before that step.
 */
export function fit<N extends Module>(options: FullBatchOptions<N>): Promise<FullBatchResult<N>>;
export function fit<N extends Module>(options: FitOptions<N>): Promise<FitResult<N>>;
export async function fit<N extends Module>(options: FitOptions<N> | FullBatchOptions<N>): Promise<unknown> {
  return byMethod(options) ? fitFullBatch(options) : fitByUpdates(options);
}

const byMethod = <N extends Module>(options: FitOptions<N> | FullBatchOptions<N>): options is FullBatchOptions<N> =>
  isMethod(options?.optimizer);

async function fitByUpdates<N extends Module>(options: FitOptions<N>): Promise<FitResult<N>> {
  const trainer = await Trainer.start(options);
  const { stop } = trainer;
  options.signal?.addEventListener("abort", stop);
  try {
    return (await trainer.train()) as FitResult<N>;
  } finally {
    options.signal?.removeEventListener("abort", stop);
  }
}
