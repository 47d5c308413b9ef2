/**
 * Files of other tools, in and out: state dicts of PyTorch, arrays of NumPy, ONNX models, event files of TensorBoard.
 * Safetensors are in `downhill/train`; an event file that grows on disk is `downhill/interop/event-file`.
 */
export { readNpy, writeNpy } from "./npy.ts";
export { type NpzOptions, readNpz, writeNpz } from "./npz.ts";
export { type OnnxInput, type OnnxOptions, toOnnx } from "./onnx/onnx.ts";
export { type FromStateDictOptions, fromStateDict, type ToStateDictOptions, toStateDict } from "./state-dict.ts";
export {
  entrySummary,
  journalSummaries,
  progressSummary,
  type Summary,
  startRecord,
  summaryRecord,
  toTensorBoard,
} from "./tensorboard.ts";
