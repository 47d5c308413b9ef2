/**
 * Data: from cells to numbers, split and batched. CSV text and image files are `downhill/data/csv` and
 * `downhill/data/images`, which need libraries.
 */
export { type Batches, type BatchOptions, batches } from "./batches.ts";
export {
  type Codes,
  type Encoded,
  Encoder,
  type EncoderJson,
  encoderFromJson,
  fitEncoder,
  type TransformOptions,
} from "./encode.ts";
export type { FitOptions } from "./fit-column.ts";
export { type Idx, type IdxType, idxImages, idxLabels, parseIdx } from "./idx.ts";
export { type InspectOptions, inspect } from "./inspect.ts";
export { type Split, type SplitOptions, split } from "./split.ts";
export {
  type CategoricalColumn,
  type Cells,
  type Column,
  columnOf,
  isMissing,
  type Kind,
  missingAt,
  type NumericColumn,
  place,
  type Table,
  type TableOptions,
  tableFromCells,
  tableOf,
  textAt,
  without,
} from "./table.ts";
export {
  ClassTarget,
  fitTarget,
  type Inferred,
  inferTask,
  NumberTarget,
  type Target,
  type TargetJson,
  type Task,
  targetFromJson,
} from "./target.ts";
export { parseText } from "./text.ts";
export type { Warning, WarningKind } from "./warning.ts";
