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
  /** Leave out the last batch of an epoch where it is smaller than the others; false unless given. */
  readonly dropLast?: boolean;
};

export class Plan {
  /** Updates per epoch. */
  readonly updates: number;
  /** Rows of a batch; an update may have up to `accumulate` of them. */
  readonly size: number;
  /** Every update sees all rows in one batch: nothing is gathered. */
  readonly full: boolean;
  /** Rows of each kind of batch there is: of whole ones and, where it is smaller, of the last of an epoch. */
  readonly sizes: readonly number[];
  /** Updates of an epoch, each a group of up to `accumulate` batches. */
  private readonly groups: Batches;
  private readonly permuted: Batches["order"];
  private held: { epoch: number; order: Int32Array } | undefined;

  /** Throws where the batch does not fit the rows, or `accumulate` is not a whole number from 1. */
  constructor(rows: number, { batch, accumulate, seed, shuffle, dropLast = false }: PlanOptions) {
    if (!Number.isInteger(accumulate) || accumulate < 1) {
      fail(`accumulate: expected a whole number of batches from 1, got ${accumulate}`);
    }
    const all = batches(rows, { batch, seed, shuffle, dropLast });
    this.size = all.size;
    this.sizes = [...new Set(all.sizes)];
    this.full = this.size === rows;
    // Rows in whatever order are the same batch.
    this.permuted = this.full ? batches(rows, { batch, seed, shuffle: false }).order : all.order;
    const used = dropLast ? rows - (rows % this.size) : rows;
    this.groups = batches(used, { batch: Math.min(this.size * accumulate, used), seed });
    this.updates = this.groups.steps;
  }

  /** The rows of so many updates from a position on, one after the other. */
  rows(from: Position, updates: number): Int32Array<ArrayBuffer> {
    const { size, rows } = this.groups;
    const spans: Int32Array[] = [];
    for (let at = from, left = updates; left > 0; ) {
      const here = Math.min(left, this.updates - at.update);
      spans.push(this.order(at.epoch).subarray(at.update * size, Math.min(rows, (at.update + here) * size)));
      at = this.advance(at, here);
      left -= here;
    }
    const all = new Int32Array(spans.reduce((sum, span) => sum + span.length, 0));
    let at = 0;
    for (const span of spans) {
      all.set(span, at);
      at += span.length;
    }
    return all;
  }

  /** How many updates from a position on see as many rows as the first: forever, where all do. */
  alike({ update }: Position): number {
    const { sizes } = this.groups;
    const last = this.updates - 1;
    if (sizes[last] === sizes[0]) return Infinity;
    return update === last ? 1 : last - update;
  }

  private order(epoch: number): Int32Array {
    if (this.held?.epoch !== epoch) this.held = { epoch, order: this.permuted(epoch) };
    return this.held.order;
  }

  /** Where one is after so many more updates. */
  advance({ epoch, update, step }: Position, by: number): Position {
    const at = update + by;
    return { epoch: epoch + Math.floor(at / this.updates), update: at % this.updates, step: step + by };
  }
}
