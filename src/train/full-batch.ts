/**
 * `fit` by a method of `downhill/minimize`: the loss of all the training data is one function of the parameters, and a
 * step is one iteration, with as many passes over the data as its line search asks for. Between two steps all there is
 * are the parameters and the method's memory, so a run goes on from them with the same bits.
 */
import { fail } from "../ir/fail.ts";
import { input, type Tensor } from "../ir/tensor.ts";
import { Form } from "../minimize/form.ts";
import { MethodError, type Point } from "../minimize/method.ts";
import { Compiled, type Evaluations } from "../minimize/objective.ts";
import { breathing, Halt, limited, stepsTaken } from "../minimize/search.ts";
import { norm } from "../minimize/vector.ts";
import { init, type Module } from "../nn/index.ts";
import type { Loop, Traced } from "../run/loop.ts";
import { type Footprint, Run } from "../run/run.ts";
import * as tree from "../tree.ts";
import { count } from "./check.ts";
import { type Checkpoint, type Entry, type Model, pack, unpack } from "./checkpoint.ts";
import { digest } from "./digest.ts";
import { BestSoFar } from "./early-stopping.ts";
import { type Examples, examplesOf, type Resident } from "./examples.ts";
import type { FitResult } from "./fit-options.ts";
import { type FullBatchOptions, passed, requireFunction, requireOptions } from "./full-batch-options.ts";
import { NonFiniteError } from "./non-finite.ts";
import { type EvaluateLoop, evaluateLoop, evaluation, inBatches } from "./predict.ts";

export type FullBatchResult<N extends Module> = Omit<FitResult<N>, "stopReason"> & {
  /** "converged": the gradient is within the tolerance, or no step lowers the loss; `reason` says which. */
  readonly stopReason: FitResult<N>["stopReason"] | "converged";
  /** In a sentence. */
  readonly reason: string;
  /** Passes over the training data, those before a resume left out. */
  readonly evaluations: Evaluations;
};

// any: parameters and state as the net made them, which only pass through here
type Tree = any;
type Feed = { readonly params: Tree };

/** What both take; the method's own vectors, on the host, come on top. */
function together(a: Footprint, b: Footprint): Footprint {
  const predictedBytes = a.predictedBytes + b.predictedBytes;
  if (a.usedBytes === undefined || b.usedBytes === undefined || a.processBytes === undefined) return { predictedBytes };
  const untouched = b.predictedBytes - b.usedBytes;
  return { predictedBytes, usedBytes: a.usedBytes + b.usedBytes, processBytes: a.processBytes + untouched };
}

/** Milliseconds between two reports of progress. */
const reportMs = 100;

/**
 * Train a net by a full-batch method. Running statistics of batch norms are taken once per step, where it led to.
 *
 * Throws a DownhillError where options or data are unusable: the batch is not all rows, the net draws (dropout,
 * augmentation), or its loss depends on its running state. Throws a NonFiniteError where the first loss is no number,
 * and a MethodError where it is none wherever a step leads; a store then holds what was reached.
 */
export async function fitFullBatch<N extends Module>(options: FullBatchOptions<N>): Promise<FullBatchResult<N>> {
  const trainer = await Trainer.start(options);
  return (await trainer.train()) as FullBatchResult<N>;
}

class Trainer {
  private readonly o: FullBatchOptions<Module>;
  private readonly setup: Record<string, string | number>;
  private readonly form: Form<Tree>;
  private readonly objective: Compiled<Tree, Tree>;
  private readonly run: Run<Model>;
  private readonly settle: Loop<Model, Feed, Resident, Record<string, never>> | undefined;
  private readonly validation: { readonly examples: Examples; readonly loop: EvaluateLoop<Model> } | undefined;
  private readonly early: BestSoFar;
  private readonly lastStep: number;
  private readonly entryEvery: number;
  private readonly secondsCompiling: number;

  private memory: Tree;
  private step = 0;
  private sums = nothing;
  private history: Entry[] = [];
  private firstLoss = NaN;
  private seconds = 0;
  private length = 0;

  static async start(options: FullBatchOptions<Module>): Promise<Trainer> {
    const { net, optimizer, data, seed = 0, backend, threads, store } = options;
    const rows = requireOptions(options);
    const { params, state } = options.start ?? init(net, seed);
    if (tree.leaves(params).length === 0) fail("fit: the net has no parameters, so there is nothing to train");
    const examples = examplesOf(data.train);
    const lossOf = (p: Tree, { state, resident }: Traced<{ state: Tree; resident: Resident }>, key: Tensor) =>
      passed(options, examples, p, state, resident, key).mean;

    const begin = performance.now();
    requireFunction(options, examples, params, state);
    const form = new Form<Tree>(params);
    const objective = await Compiled.start(lossOf, form, {
      data: { state, resident: examples.resident },
      backend,
      threads,
    });
    if (objective.draws) {
      fail(
        `fit: the net draws in training, so the same parameters give one loss and then another; ${optimizer.describe} needs one`,
        "leave out dropout and augmentation, or train with sgd() or adam()",
      );
    }
    const setup = {
      seed,
      batch: rows,
      optimizer: optimizer.describe,
      "training data": digest(data.train),
      "validation data": data.validation ? digest(data.validation) : "none",
    };
    if (options.resume && !store) fail("fit: resume needs the store that the run was kept in");
    const packed = options.resume ? await store?.load() : undefined;
    const trained = { params, state, opt: optimizer.init(form.start.length) };
    const from = packed && unpack(packed, { trained, setup }, store?.name ?? "checkpoint");
    const now = from?.trained ?? trained;
    const run = await Run.start<Model>({ params: now.params, state: now.state }, { backend, threads });
    const trainer = new Trainer(options, setup, form, objective, run, from, (performance.now() - begin) / 1000);
    trainer.memory = now.opt;
    if (from) {
      const { position, sums, history, firstLoss, secondsTraining } = from.progress;
      Object.assign(trainer, {
        step: position.step,
        sums,
        history: [...history],
        firstLoss,
        seconds: secondsTraining,
      });
    }
    store?.log({ event: options.resume ? "resume" : "start", ...trainer.at(), backend: run.backend.name });
    return trainer;
  }

  private constructor(
    options: FullBatchOptions<Module>,
    setup: Record<string, string | number>,
    form: Form<Tree>,
    objective: Compiled<Tree, Tree>,
    run: Run<Model>,
    from: Checkpoint | undefined,
    secondsCompiling: number,
  ) {
    const { net, loss, data, epochs = Infinity, steps = Infinity, metrics = [], earlyStopping } = options;
    this.o = options;
    this.setup = setup;
    this.form = form;
    this.objective = objective;
    this.run = run;
    this.lastStep = Math.min(epochs, steps);
    const { validateEvery = Math.ceil(this.lastStep / 1000) } = options;
    this.entryEvery = count("validateEvery", typeof validateEvery === "number" ? validateEvery : validateEvery.steps);
    this.early = new BestSoFar(earlyStopping, metrics, from?.progress.best, from?.bestModel);
    const begin = performance.now();
    const training = examplesOf(data.train);
    if (tree.leaves(run.state().state).length > 0) {
      this.settle = run.loop<Feed, Record<string, never>, Resident>(
        (s, feed, resident) => {
          const { next } = passed(options, training, feed.params, s.state, resident, input([2], "u32", "key"));
          return { state: { params: feed.params, state: next }, output: {} };
        },
        { data: training.resident },
      );
    }
    if (data.validation) {
      const examples = examplesOf(data.validation);
      const loop = evaluateLoop(run, net, loss, examples, metrics.length > 0);
      for (const { feeds } of inBatches(examples.rows, options.validationBatch ?? 1024)) loop.compiled(feeds);
      this.validation = { examples, loop };
    }
    this.secondsCompiling = secondsCompiling + (performance.now() - begin) / 1000;
  }

  async train(): Promise<FullBatchResult<Module>> {
    const { optimizer, signal, gradientTolerance = 0, onProgress, checkpointEverySeconds = 30 } = this.o;
    const asked = limited(this.objective, Infinity, signal);
    const breathe = breathing();
    const begin = performance.now() - 1000 * this.seconds;
    const clock = () => {
      this.seconds = (performance.now() - begin) / 1000;
      return this.seconds;
    };
    let saveAt = this.seconds + checkpointEverySeconds;
    let losses: number[] = [];
    let reported = this.seconds;
    const report = () => {
      if (losses.length === 0) return;
      const { epochs } = this.o;
      const stepsPerSecond = losses.length / Math.max(1e-6, this.seconds - reported);
      onProgress?.({
        ...this.at(),
        epochs,
        steps: this.lastStep,
        losses,
        lr: this.length,
        seconds: this.seconds,
        stepsPerSecond,
      });
      losses = [];
      reported = this.seconds;
    };

    let point = await this.objective.at(this.form.vector(this.run.state().params));
    if (Number.isNaN(this.firstLoss)) this.firstLoss = point.value;
    if (!Number.isFinite(point.value + norm(point.gradient))) throw await this.failed(point);
    let end: Pick<FullBatchResult<Module>, "stopReason" | "reason"> | undefined;
    while (!end) {
      const size = norm(point.gradient);
      if (this.early.waited) {
        const { patience } = this.o.earlyStopping!;
        const entries = patience === 1 ? "one entry" : `${patience} entries`;
        end = { stopReason: "early stopping", reason: `the validation got no better for ${entries}` };
      } else if (this.step >= this.lastStep) end = { stopReason: "done", reason: stepsTaken(this.lastStep) };
      else if (signal?.aborted) end = { stopReason: "aborted", reason: "aborted" };
      else if (size <= gradientTolerance) {
        end = { stopReason: "converged", reason: `the norm of the gradient is ${size}, at most ${gradientTolerance}` };
      } else {
        try {
          const next = await optimizer.iterate(asked, point, this.memory);
          if ("stuck" in next) end = { stopReason: "converged", reason: next.stuck };
          else {
            await this.taken(point, size, next);
            losses.push(point.value);
            point = next.point;
            clock();
            if (this.step % this.entryEvery === 0 || this.step >= this.lastStep) await this.entry();
          }
        } catch (error) {
          if (error instanceof MethodError) await this.save("non-finite");
          if (!(error instanceof Halt)) throw error;
          end = { stopReason: "aborted", reason: error.message };
        }
      }
      if (clock() - reported >= reportMs / 1000 || end) report();
      if (this.seconds >= saveAt && !end) {
        await this.save();
        saveAt = clock() + Math.max(checkpointEverySeconds, 0);
      }
      await breathe();
    }
    if (end.stopReason === "converged" && this.sums.updates > 0) await this.entry();
    await this.save(end.stopReason);
    await this.o.store?.saveModel(this.model());
    return this.result(end);
  }

  /** An iteration is over: the model moves to where it led, and its running statistics with it. */
  private async taken(from: Point, size: number, next: { point: Point; length: number; memory: Tree }): Promise<void> {
    const { x } = next.point;
    if (this.settle) await this.settle.take(1, { params: this.form.values(x, 1) });
    else this.run.load({ params: this.form.values(x), state: this.run.state().state });
    this.memory = next.memory;
    this.length = next.length;
    this.step++;
    const { loss, norm, updates } = this.sums;
    this.sums = { loss: loss + from.value, weight: updates + 1, norm: norm + size, updates: updates + 1 };
  }

  private async entry(): Promise<void> {
    const { metrics = [], validationBatch = 1024, store, onEntry } = this.o;
    const { validation, sums } = this;
    const measured = validation && (await evaluation(validation.loop, validation.examples, metrics, validationBatch));
    const entry: Entry = {
      ...this.at(),
      trainLoss: sums.loss / sums.weight,
      gradientNorm: sums.norm / sums.updates,
      lr: this.length,
      ...(measured && { validationLoss: measured.loss, metrics: measured.metrics }),
    };
    this.sums = nothing;
    this.history.push(entry);
    if (measured) await this.early.compare(measured, this.at(), () => this.run.state());
    store?.log({ event: "entry", ...entry });
    onEntry?.(entry);
  }

  /** With why the run ends here, where it does. */
  private async save(reason?: string): Promise<void> {
    const { store } = this.o;
    if (!store) return;
    const { step, sums, history, firstLoss, setup, seconds } = this;
    const { best, model: bestModel } = this.early;
    const position = { epoch: step, update: 0, step };
    const progress = { position, sums, history, firstLoss, secondsTraining: seconds, ...(best && { best }) };
    const trained = { ...this.run.state(), opt: this.memory };
    await store.save(pack({ trained, setup, progress, ...(bestModel && { bestModel }) }));
    if (reason) store.log({ event: "stop", reason, ...this.at(), seconds });
  }

  private async failed({ value, gradient }: Point): Promise<NonFiniteError> {
    const place = { epoch: this.step + 1, step: this.step + 1, lr: this.length };
    await this.save("non-finite");
    return new NonFiniteError({ ...place, loss: value, norm: norm(gradient), lastLoss: NaN, finding: undefined });
  }

  private result(end: Pick<FullBatchResult<Module>, "stopReason" | "reason">): FullBatchResult<Module> {
    return {
      ...this.model(),
      history: this.history,
      ...(this.early.best && { best: this.early.best }),
      ...end,
      epochs: this.step,
      steps: this.step,
      secondsTraining: this.seconds,
      secondsCompiling: this.secondsCompiling,
      evaluations: this.objective.evaluations,
      memory: together(this.objective.run.memory(), this.run.memory()),
      backend: this.run.backend.name,
    };
  }

  private model(): Model {
    return this.early.model ?? this.run.state();
  }

  private at(): { epoch: number; step: number } {
    return { epoch: this.step, step: this.step };
  }
}

const nothing = { loss: 0, weight: 0, norm: 0, updates: 0 };
