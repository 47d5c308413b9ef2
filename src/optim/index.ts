/** Update rules, their chains, and learning rates as functions of the step. */
export { type Accumulated, accumulator } from "./accumulate.ts";
export { type EmaOptions, ema, type LookaheadOptions, lookahead, type SwaOptions, swa } from "./averaging.ts";
export { centralize } from "./centralize.ts";
export { agc, clipGlobalNorm, clipTensorNorm, clipValue, globalNorm } from "./clip.ts";
export * from "./combine.ts";
export { valueAndGradFor } from "./gradient.ts";
export type { Common, Dialect, Hyper } from "./hyper.ts";
export {
  type MomentumCycle,
  type OneCycleMomentum,
  oneCycleMomentum,
  type TriangularMomentum,
  triangularMomentum,
} from "./momentum-cycle.ts";
export { type NoiseOptions, noise } from "./noise.ts";
export * from "./optimizers.ts";
export type { Options, Row } from "./row.ts";
export { decay, l2, trustRatio } from "./rules.ts";
export { type SamOptions, sam } from "./sam.ts";
export * from "./schedule/index.ts";
export {
  type At,
  type Context,
  filled,
  type Gives,
  leafwise,
  type Optimizer,
  type Rule,
  type State,
  type TracedState,
  type Transform,
  update,
} from "./transform.ts";
export { type WrapperName, type WrapperRow, wrappers } from "./wrappers.ts";
