/**
 * Where a training run is and which rows come next: pure functions of (seed, epoch, update), so that a run goes on from
 * three numbers. An update is one step of the optimizer; with `accumulate: k` it sees k batches one after the other.
 */
import { type Batches, batches } from "../data/batches.ts";
import { fail } from "../ir/fail.ts";

/** What has been done: `epoch` whole epochs, `update` updates of the one under way, `step` updates in all. */
export type Position = { readonly epoch: number; readonly update: number; readonly step: number };

export type PlanOptions = {
  readonly batch: number | "full";
  readonly accumulate: number;
  readonly seed: number;
  readonly shuffle: boolean;
};

export class Plan {
  /** Updates per epoch. */
  readonly updates: number;
  /** Rows of a batch; an update may have up to `accumulate` of them. */
  readonly size: number;
  /** Every update sees all rows in one batch: nothing is gathered. */
  readonly full: boolean;
  private readonly groups: Batches;
  private held: { epoch: number; order: Int32Array } | undefined;

  /** Throws where the batch does not fit the rows, or `accumulate` is not a whole number from 1. */
  constructor(rows: number, { batch, accumulate, seed, shuffle }: PlanOptions) {
    if (!Number.isInteger(accumulate) || accumulate < 1) {
      fail(`accumulate: expected a whole number of batches from 1, got ${accumulate}`);
    }
    this.size = batches(rows, { batch, seed }).size;
    this.full = this.size === rows;
    // Rows in whatever order are the same batch.
    this.groups = batches(rows, { batch: Math.min(this.size * accumulate, rows), seed, shuffle: shuffle && !this.full });
    this.updates = this.groups.steps;
  }

  /** The rows of an update of `position`'s epoch. */
  rows({ epoch, update }: Position): Int32Array {
    if (this.held?.epoch !== epoch) this.held = { epoch, order: this.groups.order(epoch) };
    const from = update * this.groups.size;
    return this.held.order.subarray(from, from + this.count(update));
  }

  /** How many rows that is. */
  count(update: number): number {
    return this.groups.sizes[update]!;
  }

  /** Where one is after so many more updates. */
  advance({ epoch, update, step }: Position, by: number): Position {
    const at = update + by;
    return { epoch: epoch + Math.floor(at / this.updates), update: at % this.updates, step: step + by };
  }
}
