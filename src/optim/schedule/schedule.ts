/**
 * What a schedule is: the learning rate as a function of the step, evaluated on the host and fed as a scalar, so changing
 * one recompiles nothing and resuming needs the step alone. One that follows what was measured is a function of that as
 * well: the history is kept with the run, so here too nothing is hidden.
 */
import { fail, shown } from "../../ir/fail.ts";
import { checkOptions } from "../../ir/options.ts";
import { show } from "../hyper.ts";

/**
 * The learning rate by the number of steps taken before: 0 for the first step, whose number in `update` is 1. After its
 * end a schedule stays where it is, unless it says otherwise.
 */
export type Schedule = {
  (step: number): number;
  /**
   * Where rates depend on what was measured: the rates that follow from it. What was measured after a step has no part in
   * the rate of that step, so a longer history changes no earlier rate. Called as a function, nothing was measured yet.
   */
  readonly following?: (history: readonly Measured[]) => Schedule;
};

/** An entry of the history that `fit` keeps. */
export type Measured = {
  /** Steps taken before it was measured. */
  readonly step: number;
  readonly trainLoss: number;
  readonly validationLoss?: number;
  readonly metrics?: Readonly<Record<string, number>>;
};

/** Throws unless these are options by name, all of them known. A schedule has no rate of its own, so none is a mistake. */
export function requireOptions<O>(what: string, options: O, known: readonly (keyof O & string)[]): void {
  if (options === undefined) fail(`${what}: there are no options`, `it takes ${known.join(", ")}`);
  checkOptions(what, options, known);
}

export function requireSteps(what: string, name: string, n: unknown, least = 1): void {
  if (!(typeof n === "number" && Number.isInteger(n) && n >= least)) {
    fail(`${what}: ${name} must be a whole number ≥ ${least}, got ${show(n)}`);
  }
}

/** A rate that may be 0. */
export function requireRate(what: string, name: string, x: unknown): void {
  if (!(typeof x === "number" && Number.isFinite(x) && x >= 0)) {
    fail(`${what}: ${name} must be a finite number ≥ 0, got ${show(x)}`);
  }
}

/** The lower end of a range of rates. */
export function requireFloor(what: string, floor: unknown, lr: number): void {
  requireRate(what, "floor", floor);
  if ((floor as number) > lr) fail(`${what}: floor must not lie above lr, got ${floor} and ${lr}`);
}

export function requireFactor(what: string, name: string, x: unknown): void {
  if (!(typeof x === "number" && x > 0 && x <= 1)) fail(`${what}: ${name} must be a number in (0, 1], got ${show(x)}`);
}

export function requireOneOf(what: string, name: string, x: unknown, known: readonly string[]): void {
  if (known.includes(x as string)) return;
  fail(`${what}: ${name} must be ${known.map((word) => `"${word}"`).join(" or ")}, got ${show(x)}`);
}

export function requireFlag(what: string, name: string, x: unknown): void {
  if (typeof x !== "boolean") fail(`${what}: ${name} must be true or false, got ${show(x)}`);
}

/** Throws unless it is a function of the step, such as the other files here make. */
export function requireSchedule(what: string, x: unknown): asserts x is Schedule {
  if (typeof x === "function") return;
  fail(`${what}: expected a function of the step, got ${shown(x)}`, "such as cosine({ lr: 0.001, steps: 1000 })");
}

/** From a to b along half a cosine; beyond 1 it comes back. */
export const wave = (a: number, b: number, done: number): number => b + (a - b) * 0.5 * (1 + Math.cos(Math.PI * done));
