/**
 * What is evaluated and kept of a training. Most rules: what is trained. Rules that average weights (EMA, SWA, Lookahead,
 * schedule-free): the average, with running statistics of its own, which stand in the place of the trained ones while
 * something is measured and are gone before the next step.
 */
import { Value } from "../ir/value.ts";
import type { Module } from "../nn/index.ts";
import type { Optimizer, TracedState } from "../optim/index.ts";
import type { Loop, LoopOptions } from "../run/loop.ts";
import type { Run, RunOptions } from "../run/run.ts";
import * as tree from "../tree.ts";
import type { Model } from "./checkpoint.ts";
import type { Examples } from "./examples.ts";
import type { Plan } from "./plan.ts";
import { calibration, calibrationStep, recalibrated } from "./recalibrate.ts";
import type { Accumulating } from "./step.ts";

// any: the parameters' tree is as the net made it
type Tree = any;

/** Inside a step: the parameters to evaluate and to keep. */
export const shownBy =
  ({ evaluated }: Optimizer) =>
  ({ params, opt }: { readonly params: Tree; readonly opt: TracedState }): Tree =>
    evaluated ? evaluated(params, opt) : params;

/** A step of training that takes a recalibration's feeds too: two signatures of one loop, which has the data once. */
export const orCalibrating =
  // any: training's feeds and state are the affair of whoever makes the step
  (step: (s: any, feed: any, data: any) => any, net: Module, rule: Optimizer, examples: Examples): typeof step => {
    const calibrate = calibrationStep(net, examples, shownBy(rule));
    return (s, feed, data) => (feed.nth ? calibrate : step)(s, feed, data);
  };

export type Shown = {
  /** Makes ready what it takes. */
  prepare(): void;
  /** `body`, while the run's state is that of what is shown. */
  during<T>(body: () => Promise<T>): Promise<T>;
  /** What is shown, as numbers; within `during`. */
  model(): Promise<Model>;
  /** Such a model as it is kept, with running statistics over all of the data. */
  settled(model: Model): Promise<Model>;
};

/** A rule that averages nothing shows what it trains. */
const trained = (run: Run<Accumulating>): Shown => ({
  prepare() {},
  during: (body) => body(),
  async model() {
    return { params: run.part("params"), state: run.part("state") };
  },
  settled: async (model) => model,
});

type Showing = RunOptions &
  Pick<LoopOptions, "precision"> & {
    readonly net: Module;
    readonly optimizer: Optimizer;
    readonly examples: Examples;
    readonly plan: Plan;
    readonly seed: number;
    /** Of the plan, that running statistics are made of while something is measured. */
    readonly batches: number;
  };

/** What a run's rule shows. `loop` takes the training data, by a step that is `orCalibrating`. */
export function shown(run: Run<Accumulating>, loop: Loop<Accumulating, any, any, any>, o: Showing): Shown {
  const { net, optimizer, examples, plan, seed } = o;
  if (!optimizer.evaluated) return trained(run);
  const show = shownBy(optimizer);
  const average = run.loop<Record<never, never>, Tree>((s: Tree) => ({ output: show(s) }));
  const calibrates = tree.leaves(run.part("state")).length > 0;
  const calls = calibrates ? calibration(plan, seed, o.batches) : [];
  return {
    prepare() {
      average.compiled({});
      for (const { feeds } of calls) loop.compiled(feeds);
    },
    async during(body) {
      if (!calibrates) return body();
      const before = run.snapshot();
      try {
        for (const { steps, feeds } of calls) await loop.take(steps, feeds);
        return await body();
      } finally {
        run.restore(before);
      }
    },
    async model() {
      const { output } = await average.take(1, {});
      const params = tree.map((v: Value) => new Value(v.dtype, v.shape.slice(1), v.data), output);
      return { params, state: run.part("state") };
    },
    async settled(model) {
      if (!calibrates) return model;
      return { ...model, state: await recalibrated(net, model, examples, calibration(plan, seed), o) };
    },
  };
}
