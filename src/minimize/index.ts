/** Minima of plain functions, by methods that see all of f at once, and by any optimizer. */
export { type ConjugateGradientOptions, conjugateGradient } from "./conjugate-gradient.ts";
export type { Found, Start, Variables } from "./form.ts";
export { type GradientDescentOptions, gradientDescent } from "./gradient-descent.ts";
export { type LbfgsOptions, lbfgs } from "./lbfgs.ts";
export { type Iteration, type Memory, type Method, MethodError, type Objective, type Point } from "./method.ts";
export { type MethodName, type MethodRow, methods } from "./methods.ts";
export { type DescendOptions, type MinimizeOptions, minimize } from "./minimize.ts";
export { type Iterate, MinimizeError, type Minimum } from "./minimum.ts";
export { type NewtonCGOptions, newtonCG } from "./newton-cg.ts";
export type { Evaluations, Scalar } from "./objective.ts";
