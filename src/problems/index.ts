/** Functions with known minima, to compare minimisers on. */
export type { Minimum, Problem } from "./problem.ts";
export { type ProblemName, problems } from "./problems.ts";
export { type Quadratic, type QuadraticOptions, quadratic } from "./quadratic.ts";
export { type Published, type QuadraticDeep, quadraticDeep } from "./quadratic-deep.ts";
export { RandomState } from "./random-state.ts";
