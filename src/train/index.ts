/** Training: fit, predict, evaluate, metrics and checkpoints. A run's folder on disk is `downhill/train/folder`. */
export type { EarlyStopping, Every } from "./check.ts";
export { type Best, type Entry, type Model, modelFrom, modelTensors, type Packed } from "./checkpoint.ts";
export { type Data, type Examples, type Pairs, type Resident, type WindowOptions, windows } from "./examples.ts";
export { fit } from "./fit.ts";
export type { FitOptions, FitResult, Progress, Scaling, Start } from "./fit-options.ts";
export type { FullBatchResult } from "./full-batch.ts";
export type { FullBatchOptions } from "./full-batch-options.ts";
export * from "./metrics.ts";
export { NonFiniteError } from "./non-finite.ts";
export { type Evaluation, evaluate, type PredictOptions, predict } from "./predict.ts";
export { type RecalibrateOptions, recalibrate } from "./recalibrate.ts";
export { type Metadata, readSafetensors, type Safetensors, type Tensors, writeSafetensors } from "./safetensors.ts";
export { distribution, draw, type GenerateOptions, generate, type Sampling } from "./sample.ts";
export type { FitLoss } from "./step.ts";
export type { Event, Store } from "./store.ts";
