/**
 * Methods race to the bottom of classic functions: how often each has to look before the slope is gone. Steepest descent
 * zig-zags through a curved valley; what remembers where it came from goes along it.
 */
import assert from "node:assert/strict";
import type { Tensor } from "downhill";
import {
  conjugateGradient,
  gradientDescent,
  lbfgs,
  type Method,
  type Minimum,
  minimize,
  newtonCG,
} from "downhill/minimize";
import { adam } from "downhill/optim";
import { problems, quadratic } from "downhill/problems";

const { rosenbrock, beale, wood } = problems;
const courses = [
  { ...quadratic({ condition: 1000, dimension: 10 }), title: "Quadratic, κ 1000" },
  { ...beale, title: "Beale" },
  { ...rosenbrock, title: "Rosenbrock" },
  { ...rosenbrock.of!(10), title: "Rosenbrock, n 10" },
  { ...wood, title: "Wood" },
];
const racers: Record<string, Method> = {
  "steepest, Armijo": gradientDescent(),
  "steepest, exact": gradientDescent({ lineSearch: "exact" }),
  "Barzilai-Borwein": gradientDescent({ lineSearch: "barzilaiBorwein" }),
  "conjugate gradients": conjugateGradient(),
  "L-BFGS": lbfgs(),
  "Newton-CG": newtonCG(),
};

/** How often each looked on each course; Infinity where it did not arrive. */
const looks: Record<string, number[]> = { "Adam, lr 0.02": [] };
const count = ({ evaluations: e, converged }: Minimum<unknown>) => (converged ? e.value + e.hvp : Infinity);
for (const { f, start } of courses) {
  for (const [name, method] of Object.entries(racers)) {
    looks[name] = [...(looks[name] ?? []), count(await minimize(f, start, method, { maxIterations: 3000 }))];
  }
  looks["Adam, lr 0.02"]!.push(count(await minimize(f, start, adam(), { lr: 0.02, steps: 20_000 })));
}

console.log("Values, gradients and Hessian products until ‖∇f‖ ≤ 1e-6; * fewest, - not in 3,000 iterations\n");
const line = (name: string, cells: readonly string[]) => name.padEnd(20) + cells.map((c) => c.padStart(18)).join("");
const fewest = courses.map((_, k) => Math.min(...Object.values(looks).map((row) => row[k]!)));
const cell = (n: number, k: number) => (n === Infinity ? "- " : `${n}${n === fewest[k] ? "*" : " "}`);
console.log(
  line(
    "",
    courses.map((course) => `${course.title} `),
  ),
);
for (const [name, row] of Object.entries(looks)) console.log(line(name, row.map(cell)));

// Not only points in the plane: any function of tensors, such as a chain of springs and weights between two nails.
const chain = (y: Tensor) => {
  const all = y.pad([[1, 1]]);
  const stretched = all
    .slice(0, 1)
    .sub(all.slice(0, 0, -1))
    .square()
    .sum();
  return stretched.mul(50).add(y.sum());
};
const { x, reason } = await minimize(chain, Array<number>(29).fill(0), lbfgs());
console.log(`\nA chain of 29 weights hangs ${Math.abs(x[14]!).toFixed(4)} low; ${reason}.`);

for (const name of ["conjugate gradients", "L-BFGS", "Newton-CG"])
  assert.ok(Math.max(...looks[name]!) < Infinity, name);
assert.ok(looks["L-BFGS"]![2]! < 60 && looks["steepest, Armijo"]![2] === Infinity);
for (const [k, y] of x.entries()) assert.ok(Math.abs(y + ((k + 1) * (29 - k)) / 200) < 1e-6); // a parabola
