/** Training that left the numbers: which step, what is known about the cause, and what to try. */
import { DownhillError } from "../ir/fail.ts";
import type { Finding } from "../run/explain.ts";

export type Blowup = {
  /** The step that failed and its epoch, both counted from 1. */
  readonly step: number;
  readonly epoch: number;
  readonly lr: number;
  /** Of that step, where they are known. */
  readonly loss: number | undefined;
  readonly norm: number | undefined;
  /** The loss of the step before; NaN where there was none. */
  readonly lastLoss: number;
  /** The first operation that gave a non-finite number. */
  readonly finding: Finding | undefined;
  /** What the loss was scaled by, in f16. */
  readonly scale?: number | undefined;
};

export class NonFiniteError extends DownhillError implements Blowup {
  readonly step: number;
  readonly epoch: number;
  readonly lr: number;
  readonly loss: number | undefined;
  readonly norm: number | undefined;
  readonly lastLoss: number;
  readonly finding: Finding | undefined;
  readonly scale: number | undefined;

  constructor(what: Blowup) {
    super(message(what));
    this.step = what.step;
    this.epoch = what.epoch;
    this.lr = what.lr;
    this.loss = what.loss;
    this.norm = what.norm;
    this.lastLoss = what.lastLoss;
    this.finding = what.finding;
    this.scale = what.scale;
  }
}

function message({ step, epoch, lr, loss, norm, lastLoss, finding, scale }: Blowup): string {
  const before = Number.isNaN(lastLoss) ? "" : `; the loss before was ${short(lastLoss)}`;
  return [
    `training stopped in step ${step} (epoch ${epoch}, lr ${short(lr)}): ${symptom(loss, norm)}${before}`,
    ...(scale ? [`  the loss was scaled by ${short(scale)}; halving that has skipped steps and not helped`] : []),
    ...(finding ? [`  cause: ${finding.message}`] : []),
    `  hint: ${scale && finding ? "f16 ends at 65504: " : ""}${remedy(step, lr)}${scale ? ', or try precision: "bf16", which ends where f32 does' : ""}`,
  ].join("\n");
}

function symptom(loss: number | undefined, norm: number | undefined): string {
  if (loss === undefined) return "a batch gave a loss or gradients that are not finite";
  if (!Number.isFinite(loss)) return norm === undefined ? "the parameters are not finite" : `the loss is ${loss}`;
  if (norm !== undefined && !Number.isFinite(norm)) return `the norm of the gradients is ${norm}`;
  return `the loss has grown to ${short(loss)}`;
}

/** Before the first update, the learning rate has done nothing yet. */
const remedy = (step: number, lr: number): string =>
  step === 1
    ? "nothing has been learned yet, so look at the data's scale, the loss and the first parameters"
    : `the learning rate may be too large: try ${short(lr / 10)}, or clip the gradients with clipGlobalNorm(1)`;

const short = (x: number): string => `${+x.toPrecision(4)}`;
