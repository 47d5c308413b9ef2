/**
 * Methods race to the bottom of classic functions: how often each has to look before the slope is gone. Steepest descent
 * zig-zags through a curved valley; what remembers where it came from goes along it.
 */
import assert from "node:assert/strict";
import type { Tensor } from "downhill";
import { conjugateGradient, gradientDescent, lbfgs, type Method, minimize, newtonCG } from "downhill/minimize";
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

type Finish = { readonly looks: number; readonly converged: boolean };
const looks = ({ evaluations: e, converged }: { evaluations: { value: number; hvp: number }; converged: boolean }) => ({
  looks: e.value + e.hvp,
  converged,
});

const finishes = new Map<string, Finish[]>();
for (const { f, start } of courses) {
  const finish = (name: string, at: Finish) => finishes.set(name, [...(finishes.get(name) ?? []), at]);
  for (const [name, method] of Object.entries(racers)) {
    finish(name, looks(await minimize(f, start, method, { maxIterations: 3000 })));
  }
  finish("Adam, lr 0.02", looks(await minimize(f, start, adam(), { lr: 0.02, steps: 20_000 })));
}

console.log("Values, gradients and Hessian products until ‖∇f‖ ≤ 1e-6; * first, - not in 3,000 iterations\n");
const cells = (of: readonly string[]) => of.map((cell) => cell.padStart(18)).join("");
console.log("".padEnd(20) + cells(courses.map((course) => course.title)));
for (const [name, at] of finishes) {
  const cell = ({ looks, converged }: Finish, k: number) => {
    const first = [...finishes.values()].every((other) => !other[k]!.converged || other[k]!.looks >= looks);
    return converged ? `${looks}${first ? "*" : " "}` : "- ";
  };
  console.log(name.padEnd(20) + cells(at.map(cell)));
}

// What made the difference in the valley: steps along it, where steepest descent takes them across.
const across = async (method: Method) => {
  const { history, value } = await minimize(rosenbrock.f, rosenbrock.start, method, { maxIterations: 100 });
  return `${history.length - 1} iterations to f = ${value.toExponential(1)}`;
};
console.log(
  `\nRosenbrock, at most 100: ${await across(gradientDescent())} along −g, ${await across(lbfgs())} by L-BFGS`,
);

// Not only points in the plane: any function of tensors, such as the distances of a chain that hangs from two nails.
const chain = (y: Tensor) => {
  const all = y.pad([[1, 1]]);
  const stretch = all
    .slice(0, 1)
    .sub(all.slice(0, 0, -1))
    .square()
    .sum()
    .mul(50);
  return stretch.add(y.sum()); // springs, and weight
};
const hanging = await minimize(chain, Array<number>(29).fill(0), lbfgs());
console.log(`a chain of 29 weights hangs ${(-Math.min(...hanging.x)).toFixed(4)} low: ${hanging.reason}`);

for (const name of ["conjugate gradients", "L-BFGS", "Newton-CG"]) {
  assert.ok(
    finishes.get(name)!.every(({ converged }) => converged),
    name,
  );
}
assert.ok(finishes.get("L-BFGS")![2]!.looks < 60);
assert.ok(Math.abs(-Math.min(...hanging.x) - (15 * 15) / 200) < 1e-6); // the parabola k (30 − k) / 200
