/** The calls of a training's programs, and what they are fed: all of it follows from where the training is. */
import { Value, value } from "../ir/value.ts";
import { foldIn, key } from "../random.ts";
import type { Loop } from "../run/loop.ts";
import * as tree from "../tree.ts";
import type { Plan, Position } from "./plan.ts";
import type { Accumulating, Rates, Rows } from "./step.ts";

export type AnyLoop = Loop<Accumulating, any, any, any>; // any: the loops differ in their feeds; a call pairs each with its own
/** `add` takes a batch of an accumulated update. */
export type Loops = { readonly update: AnyLoop; readonly add?: AnyLoop };
type Feeds = Partial<Rows & Rates>;
export type Call = { readonly loop: AnyLoop; readonly steps: number; readonly feeds: Feeds };

type Given = {
  /** Of what the net draws, where it does. */
  readonly seed: number;
  readonly draws: boolean;
  readonly schedule: (step: number) => number;
  /** The dtype of step and lr. */
  readonly scalars: "f32" | "f64";
};

export class Calls {
  private readonly plan: Plan;
  private readonly loops: Loops;
  private readonly given: Given;

  constructor(plan: Plan, loops: Loops, given: Given) {
    this.plan = plan;
    this.loops = loops;
    this.given = given;
  }

  /** Of so many updates from a position on: one, or those of each update that is accumulated. */
  from(position: Position, updates: number): Call[] {
    const { plan } = this;
    const { add, update } = this.loops;
    const { step } = position;
    const drawn = position.epoch * plan.updates + position.update;
    if (!add) {
      const labels = Array.from({ length: this.given.draws ? updates : 0 }, (_, k) => [drawn + 1 + k]);
      const rows = plan.full ? {} : feedOf(plan.rows(position, updates), updates);
      return [{ loop: update, steps: updates, feeds: { ...this.rates(step, updates), ...this.keys(labels), ...rows } }];
    }
    return Array.from({ length: updates }, (_, k) => k).flatMap((k) => {
      const rows = plan.rows(plan.advance(position, k), 1);
      const whole = Math.floor(rows.length / plan.size);
      const keys = (from: number, to: number) =>
        this.keys(Array.from({ length: to - from }, (_, j) => [drawn + 1 + k, from + j]));
      const some = (from: number, batches: number): Call[] => {
        if (batches === 0) return [];
        const part = rows.slice(from * plan.size, (from + batches) * plan.size);
        return [{ loop: add, steps: batches, feeds: { ...feedOf(part, batches), ...keys(from, from + batches) } }];
      };
      const rest = Math.ceil(rows.length / plan.size) - whole;
      return [...some(0, whole), ...some(whole, rest), { loop: update, steps: 1, feeds: this.rates(step + k, 1) }];
    });
  }

  /** Number and rate of the updates after the first `done`. */
  private rates(done: number, updates: number): Rates {
    const step = new Float64Array(updates);
    const lr = new Float64Array(updates);
    for (let k = 0; k < updates; k++) {
      step[k] = done + k + 1;
      lr[k] = this.given.schedule(done + k);
    }
    return { step: value([updates], step, this.given.scalars), lr: value([updates], lr, this.given.scalars) };
  }

  /** One key per batch, folded from the seed and the batch's numbers; none where nothing is drawn. */
  private keys(labels: readonly (readonly number[])[]): { key?: Value } {
    if (!this.given.draws) return {};
    const root = key(this.given.seed);
    const words = labels.flatMap((numbers) => numbers.reduce((k, n) => foldIn(k, n), root));
    return { key: value([labels.length, 2], words, "u32") };
  }
}

/** Row numbers as the feed of so many batches of one size. */
const feedOf = (rows: Int32Array<ArrayBuffer>, batches: number): Rows => ({
  rows: value([batches, rows.length / batches], rows, "i32"),
});

/** Steps from … to − 1 of feeds. */
export const part = (feeds: Feeds, from: number, to: number): Feeds =>
  tree.map((v: Value) => {
    const width = v.data.length / v.shape[0]!;
    return new Value(v.dtype, [to - from, ...v.shape.slice(1)], v.data.subarray(from * width, to * width));
  }, feeds);
