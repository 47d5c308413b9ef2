/** The networks that the command line trains, from a few numbers that run.json keeps. */
import type { Task } from "../data/target.ts";
import {
  binaryCrossEntropy,
  crossEntropy,
  dropout,
  type Layer,
  linear,
  type Module,
  mse,
  relu,
  sequential,
} from "../nn/index.ts";
import type { FitLoss } from "../train/step.ts";

export type Architecture = {
  readonly inputs: number;
  /** Widths of the hidden layers, each followed by a ReLU; none is a linear model. */
  readonly hidden: readonly number[];
  /** After each hidden layer. */
  readonly dropout: number;
  readonly outputs: number;
};

/** One logit for two classes, one number for a quantity. */
export const outputsFor = (task: Task, classes: number): number => (task === "multiclass" ? classes : 1);

export function network({ inputs, hidden, dropout: rate, outputs }: Architecture): Module {
  const sizes = [inputs, ...hidden];
  const layers = hidden.flatMap((width, k): Layer[] => [
    linear(sizes[k]!, width),
    relu,
    ...(rate > 0 ? [dropout(rate)] : []),
  ]);
  return sequential(...layers, linear(sizes.at(-1)!, outputs));
}

/** Its trainable numbers, counted before they exist. */
export function parameters({ inputs, hidden, outputs }: Architecture): number {
  const sizes = [inputs, ...hidden, outputs];
  return sizes.slice(1).reduce((sum, width, k) => sum + width * (sizes[k]! + 1), 0);
}

const losses: Record<Task, FitLoss> = {
  binary: binaryCrossEntropy,
  multiclass: crossEntropy,
  regression: mse,
};
export const lossFor = (task: Task): FitLoss => losses[task];
