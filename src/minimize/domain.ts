/** The domains of the methods' options: what lies outside is refused by name. */
import { fail, shown } from "../ir/fail.ts";
import type { Wolfe } from "./line-search.ts";

export function requireWolfe(method: string, { c1, c2 }: Wolfe): void {
  const number = (x: unknown) => typeof x === "number";
  if (number(c1) && number(c2) && c1 > 0 && c1 < 0.5 && c2 > c1 && c2 < 1) return;
  fail(
    `${method}: c1 and c2 must be numbers with 0 < c1 < ½ and c1 < c2 < 1, got c1 ${shown(c1)} and c2 ${shown(c2)}`,
    "c1 is the part of the slope that f must fall by, c2 the part of it that may be left",
  );
}

export function requireChoice<T extends string>(method: string, name: string, x: unknown, of: readonly T[]): void {
  if ((of as readonly unknown[]).includes(x)) return;
  fail(`${method}: ${name} must be ${of.map((o) => `"${o}"`).join(" or ")}, got ${shown(x)}`);
}

export function requirePositive(method: string, name: string, x: unknown): void {
  if (typeof x === "number" && x > 0 && x < Infinity) return;
  fail(`${method}: ${name} must be a finite number > 0, got ${shown(x)}`);
}

export function requireNotNegative(method: string, name: string, x: unknown): void {
  if (typeof x === "number" && x >= 0 && x < Infinity) return;
  fail(`${method}: ${name} must be a finite number ≥ 0, got ${shown(x)}`);
}

export function requireWhole(method: string, name: string, x: unknown): void {
  if (Number.isInteger(x) && (x as number) >= 1) return;
  fail(`${method}: ${name} must be a whole number from 1, got ${shown(x)}`);
}

export function requireFraction(method: string, name: string, x: unknown): void {
  if (typeof x === "number" && x > 0 && x < 1) return;
  fail(`${method}: ${name} must be a number in (0, 1), got ${shown(x)}`);
}
