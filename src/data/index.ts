/** Data: from cells to numbers, split and batched. CSV text is `downhill/data/csv`, which needs a library. */
export { type BatchOptions, type Batches, batches } from "./batches.ts";
export {
  Encoder,
  type Encoded,
  type EncoderJson,
  type FitOptions,
  type TransformOptions,
  encoderFromJson,
  fitEncoder,
} from "./encode.ts";
export { type Idx, type IdxType, idxImages, idxLabels, parseIdx } from "./idx.ts";
export { type InspectOptions, inspect } from "./inspect.ts";
export { type Split, type SplitOptions, split } from "./split.ts";
export {
  type CategoricalColumn,
  type Cells,
  type Column,
  type Kind,
  type NumericColumn,
  type Table,
  type TableOptions,
  columnOf,
  isMissing,
  missingAt,
  place,
  tableFromCells,
  tableOf,
  textAt,
  without,
} from "./table.ts";
export {
  ClassTarget,
  type Inferred,
  NumberTarget,
  type Target,
  type TargetJson,
  type Task,
  fitTarget,
  inferTask,
  targetFromJson,
} from "./target.ts";
export type { Warning, WarningKind } from "./warning.ts";
