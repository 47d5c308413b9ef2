export type { DType, Float } from "./dtype.ts";
export { DownhillError, within } from "./fail.ts";
export { grad, gradients, hvp, stopGradient, valueAndGrad, vjp } from "./grad.ts";
export * from "./math.ts";
export type { Shape } from "./shape.ts";
export { type Axes, full, input, iota, type Like, literal, scalar, Tensor, zerosLike } from "./tensor.ts";
export { Value, value } from "./value.ts";
