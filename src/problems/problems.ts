/** The classic test functions by name. The tests, and whoever wants to compare minimisers, walk this table. */
import { ackley, rastrigin, rosenbrock, styblinskiTang } from "./families.ts";
import {
  beale,
  booth,
  branin,
  freudensteinRoth,
  goldsteinPrice,
  himmelblau,
  matyas,
  mcCormick,
  powellSingular,
  sixHumpCamel,
  threeHumpCamel,
  wood,
} from "./fixed.ts";
import { quadratic } from "./quadratic.ts";

export const problems = {
  rosenbrock,
  beale,
  himmelblau,
  booth,
  matyas,
  goldsteinPrice,
  sixHumpCamel,
  threeHumpCamel,
  styblinskiTang,
  mcCormick,
  branin,
  ackley,
  rastrigin,
  powellSingular,
  wood,
  freudensteinRoth,
  quadratic: quadratic(),
} as const;

export type ProblemName = keyof typeof problems;
