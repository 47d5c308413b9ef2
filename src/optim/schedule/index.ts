/** Learning rates as functions of the step. */
export { type OneCycle, oneCycle, type Triangular, triangular, type WarmRestarts, warmRestarts } from "./cycle.ts";
export * from "./decay.ts";
export { type Plateau, plateau } from "./plateau.ts";
export type { Measured, Schedule } from "./schedule.ts";
export { type Planned, type ScheduleName, type ScheduleRow, schedules } from "./schedules.ts";
export {
  inverseSquareRoot,
  join,
  linear,
  type Part,
  type WarmupCosine,
  type Wsd,
  warmupCosine,
  wsd,
} from "./warmup.ts";
