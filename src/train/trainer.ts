/**
 * Training: the data lie where the program is, a call takes many steps, and between calls there is time to look, to
 * save and to stop. How many steps a call takes follows the clock; nothing that is computed depends on it, so the same
 * options give the same bits, stopped and resumed or not.
 */
import { fail } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import { type Value, value } from "../ir/value.ts";
import { init, type Module } from "../nn/index.ts";
import { accumulator, trainable } from "../optim/index.ts";
import { checkPrecision } from "../run/loop.ts";
import { type Footprint, Run } from "../run/run.ts";
import * as tree from "../tree.ts";
import { orCalibrating, type Shown, shown, shownBy } from "./averaged.ts";
import { type AnyLoop, type Call, Calls, type Loops, part } from "./calls.ts";
import { count, requireFitOptions, requireFollowed, rowsOf, scheduleOf } from "./check.ts";
import { type Checkpoint, type Entry, type Model, pack, type Setup, unpack } from "./checkpoint.ts";
import { digest } from "./digest.ts";
import { examplesIn, floatOf, inDouble, likeThat } from "./double.ts";
import { BestSoFar } from "./early-stopping.ts";
import type { Examples } from "./examples.ts";
import { type FitOptions, type FitResult, fitOptions, type Scaling, type StopReason } from "./fit-options.ts";
import { NonFiniteError } from "./non-finite.ts";
import { Plan, type Position } from "./plan.ts";
import { type EvaluateLoop, evaluateLoop, evaluation, inBatches } from "./predict.ts";
import { rehearsed } from "./rehearsal.ts";
import { scalerOf, scaling } from "./scaling.ts";
import { type Accumulating, addStep, applyStep, trainStep } from "./step.ts";

/** How long a call of the program should last: short enough to stop, long enough that calls cost nothing. */
const callMs = 100;
/** Most row numbers in one call: 4 MB of them. */
const rowsPerCall = 2 ** 20;
/** A loss this many times the first one is divergence, though f32 still has a number for it. */
const diverged = 1e12;

type Losses = {
  readonly loss: ArrayLike<number>;
  readonly weight: ArrayLike<number>;
  readonly norm: ArrayLike<number>;
  /** Whether the update after these was skipped. */
  readonly skipped: boolean;
};

export class Trainer {
  private readonly options: FitOptions<Module>;
  private readonly plan: Plan;
  private readonly schedule: (step: number) => number;
  private readonly setup: Setup;
  private readonly run: Run<Accumulating>;
  private readonly accumulates: boolean;
  private readonly entryEvery: { readonly epochs: number } | { readonly steps: number };
  private readonly lastStep: number;
  private readonly early: BestSoFar;
  private readonly loops: Loops;
  private readonly calls: Calls;
  private readonly validation: { examples: Examples; loop: EvaluateLoop<Accumulating> } | undefined;
  private readonly shown: Shown;

  private position: Position;
  private sums: { loss: number; weight: number; norm: number; updates: number; skipped: number };
  private readonly history: Entry[];
  private firstLoss: number;
  private lastLoss: number;
  /** In f16. */
  private scaling: Scaling | undefined;

  private wanted = 1;
  private stoppable = false;
  private seconds: number;
  private secondsCompiling = 0;
  private predicted: Pick<Footprint, "predictedBytes" | "processBytes"> | undefined;
  /** Of the state before the call under way. */
  private before: ArrayBuffer | undefined;

  static async start(options: FitOptions<Module>): Promise<Trainer> {
    requireFitOptions(options);
    checkOptions("fit", options, fitOptions);
    const { net, loss, optimizer, data, seed = 0, accumulate = 1, shuffle = true, dropLast = false, store } = options;
    const { precision } = options;
    const rows = rowsOf("training data", data.train);
    if (data.validation) rowsOf("validation data", data.validation);
    const { batch = Math.min(32, rows) } = options;
    const plan = new Plan(rows, { batch, accumulate, seed, shuffle, dropLast });
    const { params, state } = inDouble(options.start ?? init(net, seed), checkPrecision(precision) === "f64");
    const trained = { params, state, opt: optimizer.init(params) };
    if (tree.leaves(params).length === 0) fail("fit: the net has no parameters, so there is nothing to train");
    const draws = rehearsed(net, loss, trained, examplesIn(data.train, precision), plan);
    const setup = {
      seed,
      batch: dropLast ? `${plan.size} with dropLast` : plan.size,
      accumulate,
      shuffle,
      optimizer: optimizer.describe,
      ...(precision !== undefined && precision !== "f32" && { precision }),
      "training data": digest(data.train),
      "validation data": data.validation ? digest(data.validation) : "none",
    };
    if (options.resume && !store) fail("fit: resume needs the store that the run was kept in");
    const packed = options.resume ? await store?.load() : undefined;
    const from = packed && unpack(packed, { trained, setup }, store?.name ?? "checkpoint");
    const now = from?.trained ?? trained;
    const zeros = {
      gradients: accumulator.init(trainable(optimizer, params, params)),
      total: value([], [0], floatOf(params)),
    };
    const accumulates = accumulate > 1 && !plan.full;
    const scaler = precision === "f16" ? scalerOf(from?.progress.scaling) : {};
    const first: Accumulating = {
      ...now,
      ...(accumulates ? zeros : { gradients: {}, total: {} }),
      scaler: { ...scaler, ...(accumulates && precision === "f16" && { statistics: now.state }) },
    };
    const run = await Run.start<Accumulating>(first, { backend: options.backend, threads: options.threads });
    const trainer = new Trainer(options, plan, setup, run, draws, from);
    const { epoch, step } = trainer.position;
    store?.log({ event: options.resume ? "resume" : "start", epoch, step, backend: run.backend.name });
    return trainer;
  }

  private constructor(
    options: FitOptions<Module>,
    plan: Plan,
    setup: Setup,
    run: Run<Accumulating>,
    draws: boolean,
    kept: Checkpoint | undefined,
  ) {
    const from = kept?.progress;
    const { net, loss, optimizer, data, epochs, steps, metrics = [], earlyStopping, precision } = options;
    this.options = options;
    this.plan = plan;
    this.setup = setup;
    this.run = run;
    this.history = [...(from?.history ?? [])];
    this.schedule = scheduleOf(options.lr, this.history);
    if (epochs === undefined && steps === undefined) fail("fit: say how long to train: epochs, steps, or both");
    const all = epochs === undefined ? Infinity : count("epochs", epochs) * plan.updates;
    this.lastStep = Math.min(all, steps === undefined ? Infinity : count("steps", steps));
    const { validateEvery = Math.ceil(this.lastStep / plan.updates / 1000) } = options;
    this.entryEvery =
      typeof validateEvery === "number"
        ? { epochs: count("validateEvery", validateEvery) }
        : { steps: count("validateEvery: steps", validateEvery.steps) };
    if (!((options.checkpointEverySeconds ?? 30) >= 0)) {
      fail(`checkpointEverySeconds: expected a number from 0, got ${options.checkpointEverySeconds}`);
    }
    if (!data.validation && (earlyStopping || metrics.length > 0)) {
      fail(`fit: ${earlyStopping ? "earlyStopping needs" : "metrics need"} data.validation, and there is none`);
    }
    requireFollowed(options.lr, data.validation !== undefined, metrics);
    this.early = new BestSoFar(earlyStopping, metrics, from?.best, kept?.bestModel);

    this.accumulates = tree.leaves(run.part("gradients")).length > 0;
    const training = examplesIn(data.train, precision);
    const computed = { data: training.resident, precision };
    const step = this.accumulates
      ? addStep(net, loss, optimizer, training)
      : plainly(trainStep(net, loss, optimizer, training));
    const learning: AnyLoop = run.loop(orCalibrating(step, net, optimizer, training), computed);
    this.loops = this.accumulates ? { add: learning, update: run.loop(applyStep(optimizer)) } : { update: learning };
    const { seed = 0, recalibrationBatches = 32, backend, threads } = options;
    const scalars = floatOf(run.part("params"));
    this.calls = new Calls(plan, this.loops, { seed, draws, schedule: this.schedule, scalars });
    const batches = count("recalibrationBatches", recalibrationBatches);
    const where = { backend, threads, precision };
    this.shown = shown(run, learning, { net, optimizer, examples: training, plan, seed, batches, ...where });
    if (data.validation) {
      const examples = examplesIn(data.validation, precision);
      this.validation = {
        examples,
        loop: evaluateLoop(run, net, loss, examples, metrics.length > 0, shownBy(optimizer)),
      };
    }

    this.position = from?.position ?? { epoch: 0, update: 0, step: 0 };
    this.sums = { ...nothing, ...from?.sums };
    const { scale, skipped } = from?.scaling ?? { scale: scaling.start, skipped: 0 };
    this.scaling = precision === "f16" ? { scale, skipped } : undefined;
    this.firstLoss = from?.firstLoss ?? NaN;
    this.lastLoss = this.history.at(-1)?.trainLoss ?? NaN;
    this.seconds = from?.secondsTraining ?? 0;
  }

  /** For the signal: end the call under way after its step. What must be whole, such as a validation, is finished first. */
  readonly stop = (): void => {
    if (this.stoppable) this.run.stop();
  };

  async train(): Promise<FitResult<Module>> {
    const { signal, checkpointEverySeconds = 30 } = this.options;
    this.compileMeasuring();
    let yielded = performance.now();
    let saveAt = yielded + 1000 * checkpointEverySeconds;
    let stopReason: StopReason | undefined;
    while (!stopReason) {
      if (this.early.waited) stopReason = "early stopping";
      else if (this.over(this.position)) stopReason = "done";
      else if (signal?.aborted) stopReason = "aborted";
      else {
        await this.chunk();
        const now = performance.now();
        if (now >= saveAt) {
          await this.save();
          const took = performance.now() - now;
          saveAt = performance.now() + Math.max(1000 * checkpointEverySeconds, 20 * took);
        }
        if (now - yielded > callMs / 2) {
          await breath(); // a backend that computes on this thread lets nobody else on: neither Ctrl-C nor a page
          yielded = performance.now();
        }
      }
    }
    if (stopReason !== "aborted") await this.requireFinite();
    await this.save();
    const model = likeThat(await this.model(stopReason), this.options);
    await this.options.store?.saveModel(model);
    this.options.store?.log({ event: "stop", reason: stopReason, ...this.at(), seconds: this.seconds });
    return this.result(stopReason, model);
  }

  /** Before the clock starts, and before labels that validation refuses have cost an epoch. */
  private compileMeasuring(): void {
    const { validation } = this;
    const { validationBatch = 1024 } = this.options;
    const begin = performance.now();
    this.shown.prepare();
    if (validation) {
      for (const { feeds } of inBatches(validation.examples.rows, validationBatch)) validation.loop.compiled(feeds);
    }
    this.secondsCompiling += (performance.now() - begin) / 1000;
  }

  private result(stopReason: StopReason, { params, state }: Model): FitResult<Module> {
    return {
      params,
      state,
      history: this.history,
      ...(this.early.best && { best: this.early.best }),
      stopReason,
      ...(this.scaling && { scaling: this.scaling }),
      epochs: this.position.epoch,
      steps: this.position.step,
      secondsTraining: this.seconds,
      secondsCompiling: this.secondsCompiling,
      memory: { ...this.run.memory(), ...this.predicted },
      backend: this.run.backend.name,
    };
  }

  /** The best model, else the last. Whoever stops a training has no time for all of the data. */
  private async model(stopReason: StopReason): Promise<Model> {
    const model = this.early.model ?? (await this.shown.during(() => this.shown.model()));
    return stopReason === "aborted" ? model : this.shown.settled(model);
  }

  private at(): { epoch: number; step: number } {
    return { epoch: this.position.epoch, step: this.position.step };
  }

  private async save(): Promise<void> {
    const { store } = this.options;
    if (!store) return;
    const { params, state, opt, scaler } = this.run.state();
    const { position, sums, history, firstLoss, setup, seconds } = this;
    const { best, model: bestModel } = this.early;
    const [scale, good] = [scaler.scale, scaler.good].map((v: Value | undefined) => v?.data[0] ?? 0) as [
      number,
      number,
    ];
    const progress = {
      position,
      sums,
      history,
      firstLoss,
      secondsTraining: seconds,
      ...(best && { best }),
      ...(this.scaling && { scaling: { scale, good, skipped: this.scaling.skipped } }),
    };
    await store.save(pack({ trained: { params, state, opt }, setup, progress, ...(bestModel && { bestModel }) }));
  }

  // ---- one call of the program, or a few -------------------------------------------------------------------------------

  /** As many updates as the clock wants, up to the next entry of the history. */
  private async chunk(): Promise<void> {
    const calls = this.calls.from(this.position, this.upcoming());
    const compiling = performance.now();
    for (const { loop, feeds } of calls) loop.compiled(feeds);
    const begin = performance.now();
    this.secondsCompiling += (begin - compiling) / 1000;
    const before = this.run.snapshot(this.before);
    this.before = before;
    const snapshotMs = performance.now() - begin;
    if (!this.predicted) {
      const { usedBytes, ...predicted } = this.run.memory();
      this.predicted = predicted;
      this.options.onStart?.({ ...predicted, secondsCompiling: this.secondsCompiling });
    }
    const taken = await this.take(before, calls);
    this.record(taken);
    const ms = performance.now() - begin;

    const done = taken.loss.length;
    if (done > 0) {
      const fitting = Math.floor((done * Math.max(callMs, 10 * snapshotMs)) / ms);
      const most = Math.floor(rowsPerCall / (this.plan.full ? 1 : this.plan.size));
      this.wanted = Math.max(1, Math.min(fitting, Math.max(this.wanted, 4 * done), most));
    }
    const reached = this.plan.advance(this.position, done);
    // A skipped batch is behind, and no update.
    this.position = taken.skipped ? { ...this.plan.advance(reached, 1), step: reached.step } : reached;
    if (this.atEntry(this.position) && this.sums.updates > 0) await this.entry();
    this.seconds += (performance.now() - begin) / 1000;
    const { position, seconds } = this;
    this.options.onProgress?.({
      ...this.at(),
      epochs: this.options.epochs,
      steps: this.lastStep,
      losses: taken.loss,
      lr: this.schedule(Math.max(0, position.step - 1)),
      seconds,
      stepsPerSecond: (1000 * done) / ms,
      ...(this.scaling && { scaling: this.scaling }),
    });
  }

  private atEntry({ epoch, update, step }: Position): boolean {
    const { entryEvery } = this;
    const whole =
      "steps" in entryEvery ? step % entryEvery.steps === 0 : update === 0 && epoch % entryEvery.epochs === 0;
    return whole || this.over({ epoch, update, step });
  }

  /** Whether that is the end. Of batches that were skipped there are fewer steps than epochs would have. */
  private over({ epoch, step }: Position): boolean {
    return step >= this.lastStep || epoch >= (this.options.epochs ?? Infinity);
  }

  /** How many updates the next call takes: up to the next entry; of one size, unless accumulated from batches of several. */
  private upcoming(): number {
    const { plan, entryEvery, lastStep, accumulates } = this;
    const { epoch, update, step } = this.position;
    const toEnd = ((this.options.epochs ?? Infinity) - epoch) * plan.updates - update;
    const toEntry =
      "steps" in entryEvery
        ? entryEvery.steps - (step % entryEvery.steps)
        : (entryEvery.epochs - (epoch % entryEvery.epochs)) * plan.updates - update;
    return Math.min(this.wanted, toEntry, toEnd, lastStep - step, accumulates ? Infinity : plan.alike(this.position));
  }

  /** What the calls' updates gave. Fewer than asked where the signal came or one was skipped. */
  private async take(before: ArrayBuffer, calls: readonly Call[]): Promise<Losses> {
    const parts: Omit<Losses, "skipped">[] = [];
    let skipped = false;
    for (const [c, { loop, steps, feeds }] of calls.entries()) {
      this.stoppable = !this.accumulates;
      const { steps: taken, output } = await loop.take(steps, feeds);
      this.stoppable = false;
      const sound: ArrayLike<number> = output.sound.data;
      const isUpdate = loop === this.loops.update;
      const last = taken - 1;
      const unsound = taken > 0 && !Number.isFinite(sound[last]);
      const scales: ArrayLike<number> = (isUpdate && output.scale?.data) || [];
      if (this.scaling && taken > 0) this.scaling = { ...this.scaling, scale: scales[last] ?? this.scaling.scale };
      skipped = unsound && scales.length > 0 && mayShrink(scales[last]! / scaling.backoff, output.loss.data[last]);
      const good = skipped ? last : taken;
      const losses: ArrayLike<number> = isUpdate ? output.loss.data.subarray(0, good) : [];
      if (isUpdate && Number.isNaN(this.firstLoss) && good > 0) this.firstLoss = losses[0]!;
      const limit = diverged * (1 + Math.abs(this.firstLoss));
      let bad = firstAbove(losses, limit);
      if (bad < 0 && unsound && !skipped) bad = last;
      if (bad >= 0) await this.failAt(before, calls, c, bad, output);
      if (isUpdate) {
        const [weight, norm] = [output.weight.data.subarray(0, good), output.norm.data.subarray(0, good)];
        parts.push({ loss: losses, weight, norm });
      }
      if (taken < steps || skipped) break;
    }
    if (parts.length === 1) return { ...parts[0]!, skipped };
    const joined = (name: "loss" | "weight" | "norm") => parts.flatMap((part) => Array.from(part[name]));
    return { loss: joined("loss"), weight: joined("weight"), norm: joined("norm"), skipped };
  }

  /** Go back to before the bad step, keep that, find the cause and throw. Replaying gives the same bits. */
  private async failAt(
    before: ArrayBuffer,
    calls: readonly Call[],
    c: number,
    bad: number,
    output: any,
  ): Promise<never> {
    const { loop, feeds } = calls[c]!;
    this.run.restore(before);
    for (const call of calls.slice(0, c)) await call.loop.take(call.steps, call.feeds);
    if (bad > 0) await loop.take(bad, part(feeds, 0, bad));
    const finding = loop.explain(this.run.snapshot(), part(feeds, bad, bad + 1));

    // An accumulated update begins with its first batch, and so does the checkpoint.
    const updates = (to: number) => calls.slice(0, to).filter((call) => call.loop === this.loops.update).length;
    const done = this.accumulates ? updates(c) : bad;
    if (this.accumulates) {
      this.run.restore(before);
      const begin = calls.slice(0, c).findLastIndex((call) => call.loop === this.loops.update) + 1;
      for (const call of calls.slice(0, begin)) await call.loop.take(call.steps, call.feeds);
    }
    const losses: ArrayLike<number> = output.loss?.data ?? [];
    const lastLoss = bad > 0 && losses.length > 0 ? losses[bad - 1]! : this.lastLoss;
    this.position = this.plan.advance(this.position, done);
    const scale = output.scale && output.scale.data[bad] / scaling.backoff;
    throw await this.failed({ loss: losses[bad], norm: output.norm?.data[bad], lastLoss, finding, scale });
  }

  /** Keeps the state as it is now, and makes the error that says what became of the next step. */
  private async failed(
    what: Pick<NonFiniteError, "loss" | "norm" | "lastLoss" | "finding" | "scale">,
  ): Promise<NonFiniteError> {
    const { epoch, step } = this.position;
    const error = new NonFiniteError({ ...what, epoch: epoch + 1, step: step + 1, lr: this.schedule(step) });
    await this.save();
    this.options.store?.log({ event: "stop", reason: "non-finite", ...this.at(), message: error.message });
    return error;
  }

  // ---- between calls ---------------------------------------------------------------------------------------------------

  private record({ loss, weight, norm, skipped }: Losses): void {
    const { sums } = this;
    if (skipped && this.scaling) {
      sums.skipped++;
      this.scaling = { ...this.scaling, skipped: this.scaling.skipped + 1 };
    }
    for (let k = 0; k < loss.length; k++) {
      sums.loss += loss[k]! * weight[k]!;
      sums.weight += weight[k]!;
      sums.norm += norm[k]!;
    }
    sums.updates += loss.length;
    this.lastLoss = loss[loss.length - 1] ?? this.lastLoss;
  }

  private async entry(): Promise<void> {
    const { sums, options, validation } = this;
    const { metrics = [], validationBatch = 1024 } = options;
    const measured =
      validation &&
      (await this.shown.during(async () => {
        const measured = await evaluation(validation.loop, validation.examples, metrics, validationBatch);
        await this.early.compare(measured, this.at(), () => this.shown.model());
        return measured;
      }));
    const entry: Entry = {
      ...this.at(),
      trainLoss: sums.loss / sums.weight,
      gradientNorm: sums.norm / sums.updates,
      lr: this.schedule(this.position.step - 1),
      ...(this.scaling && { scale: this.scaling.scale, skipped: sums.skipped }),
      ...(measured && { validationLoss: measured.loss, metrics: measured.metrics }),
    };
    this.sums = { ...nothing };
    this.history.push(entry);
    options.store?.log({ event: "entry", ...entry });
    options.onEntry?.(entry);
  }

  /** The last update is watched by no later loss. */
  private async requireFinite(): Promise<void> {
    const finite = tree.leaves<Value>(this.run.part("params")).every((p) => p.data.every(Number.isFinite));
    if (finite || this.early.model) return;
    throw await this.failed({
      loss: NaN,
      norm: undefined,
      lastLoss: this.lastLoss,
      finding: undefined,
      scale: undefined,
    });
  }
}

const nothing = { loss: 0, weight: 0, norm: 0, updates: 0, skipped: 0 };

/** Where the first number above the limit is; −1 where there is none. */
function firstAbove(xs: ArrayLike<number>, limit: number): number {
  for (let k = 0; k < xs.length; k++) if (xs[k]! > limit) return k;
  return -1;
}

/** A step over what a run keeps where nothing is accumulated. */
const plainly =
  <A extends unknown[], R extends { state: object }>(step: (s: any, ...rest: A) => R) =>
  (s: any, ...rest: A) => {
    const result = step(s, ...rest);
    return { ...result, state: { ...s, ...result.state } };
  };

/**
 * Whether a smaller scale may help. A loss that is not finite without one is not the scale's doing, nor are gradients that
 * overflow however small it is.
 */
const mayShrink = (scale: number, loss: number): boolean => scale > (Number.isFinite(loss) ? scaling.least : 1);

/** Let the host do what is waiting. */
const breath = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
