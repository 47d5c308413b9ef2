/**
 * Which rows a step sees. One option covers batch (`"full"`), mini-batch (64) and stochastic descent (1); the order of
 * an epoch is a function of (seed, epoch), so going on in the middle of one needs nothing but their numbers.
 */
import { fail, shown } from "../ir/fail.ts";
import { permutation } from "../random.ts";
import { requireCount, requireOptions } from "./given.ts";

export type BatchOptions = {
  /** Rows per step. */
  readonly batch: number | "full";
  readonly seed: number;
  /** A new order every epoch; true unless given. False keeps the order of the rows. */
  readonly shuffle?: boolean;
  /** Leave out the last batch of an epoch where it is smaller than the others; false unless given. */
  readonly dropLast?: boolean;
};

export type Batches = {
  readonly rows: number;
  /** Rows of a whole batch. */
  readonly size: number;
  /** Steps per epoch. */
  readonly steps: number;
  /** Rows of each step's batch, i32[steps]; step k of an epoch takes order[k·size … k·size + sizes[k] − 1]. */
  readonly sizes: Int32Array<ArrayBuffer>;
  /** The order of the rows in an epoch, counted from 0: i32[rows]. */
  readonly order: (epoch: number) => Int32Array<ArrayBuffer>;
};

const batchesCall = "batches(1000, { batch: 32, seed: 1 })";

/** The plan of an epoch. Throws when the batch is not a whole number from 1 to `rows`. */
export function batches(rows: number, options: BatchOptions): Batches {
  requireCount("batches: rows", rows, batchesCall);
  requireOptions("batches", options, batchesCall);
  const { batch, seed, shuffle = true, dropLast = false } = options;
  if (rows < 1) fail("batches: there are no rows to train on");
  const size = batch === "full" ? rows : batch;
  if (!Number.isInteger(size) || size < 1)
    fail(`batch: expected a whole number from 1, or "full", got ${shown(batch)}`);
  if (size > rows) {
    const plural = rows === 1 ? "is 1 row" : `are ${rows} rows`;
    fail(`batch: ${size} is more than the data: there ${plural} to train on`, 'use a smaller batch, or "full"');
  }
  const whole = Math.floor(rows / size);
  const rest = rows - whole * size;
  const steps = rest > 0 && !dropLast ? whole + 1 : whole;
  const sizes = new Int32Array(steps).fill(size);
  if (steps > whole) sizes[whole] = rest;
  const inOrder = () => Int32Array.from({ length: rows }, (_, row) => row);
  return { rows, size, steps, sizes, order: (epoch) => (shuffle ? permutation(rows, seed, epoch) : inOrder()) };
}
