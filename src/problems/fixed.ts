/**
 * Test functions of two and of four variables. Starts are those of Moré, Garbow & Hillstrom 1981 (MGH) where that paper has
 * the function; minima that are no short numbers are those of scripts/golden/problems.py.
 */
import type { Tensor } from "../ir/tensor.ts";
import { coordinates, type Minimum, type Problem } from "./problem.ts";

type Point = readonly number[];
type Written = Omit<Problem, "name" | "dimension" | "of" | "f" | "localMinima"> & {
  readonly f: (...x: [Tensor, Tensor, Tensor, Tensor]) => Tensor;
  readonly localMinima?: readonly Minimum[];
};

/** These points, and their negatives, have this value. */
const points = (value: number, ...at: readonly Point[]): Minimum[] => at.map((at) => ({ at, value }));
const plusMinus = (value: number, at: Point): Minimum[] =>
  points(
    value,
    at,
    at.map((x) => -x),
  );
const box = (n: number, low: number, high: number) => Array<readonly [number, number]>(n).fill([low, high]);

function fixed(name: string, { f, localMinima = [], ...about }: Written): Problem {
  const dimension = about.start.length;
  // In two variables the last two parameters of f are not there, and not read.
  const written = f as (...x: Tensor[]) => Tensor;
  return { name, dimension, localMinima, ...about, f: (x) => written(...coordinates(name, x, dimension)) };
}

export const beale = fixed("beale", {
  title: "Beale",
  formula: "(1.5 − x + x y)² + (2.25 − x + x y²)² + (2.625 − x + x y³)²",
  f(x, y) {
    const term = (c: number, power: Tensor) => power.sub(1).mul(x).add(c).square();
    return term(1.5, y)
      .add(term(2.25, y.square()))
      .add(term(2.625, y.square().mul(y)));
  },
  start: [1, 1],
  atStart: 14.203125,
  minima: points(0, [3, 0.5]),
  domain: box(2, -4.5, 4.5),
  hard: "Flat around the minimum, with cliffs at the corners: gradients differ by five orders of magnitude.",
  source: "Beale 1958; MGH 5",
});

export const himmelblau = fixed("himmelblau", {
  title: "Himmelblau",
  formula: "(x² + y − 11)² + (x + y² − 7)²",
  f: (x, y) => x.square().add(y).sub(11).square().add(x.add(y.square()).sub(7).square()),
  start: [0, 0],
  atStart: 170,
  minima: points(
    0,
    [3, 2],
    [-2.805118086952745, 3.131312518250573],
    [-3.779310253377747, -3.2831859912861696],
    [3.5844283403304917, -1.8481265269644036],
  ),
  domain: box(2, -5, 5),
  hard: "Four minima of one height: which of them a method ends in depends on its rate.",
  source: "Himmelblau 1972, Applied Nonlinear Programming",
});

export const booth = fixed("booth", {
  title: "Booth",
  formula: "(x + 2 y − 7)² + (2 x + y − 5)²",
  f: (x, y) => x.add(y.mul(2)).sub(7).square().add(x.mul(2).add(y).sub(5).square()),
  start: [0, 0],
  atStart: 74,
  minima: points(0, [1, 3]),
  domain: box(2, -10, 10),
  hard: "Nothing: a quadratic of condition 9 with coupled variables, which every method has to solve.",
  source: "Jamil & Yang 2013, no. 17",
});

export const matyas = fixed("matyas", {
  title: "Matyas",
  formula: "0.26 (x² + y²) − 0.48 x y",
  f: (x, y) => x.square().add(y.square()).mul(0.26).sub(x.mul(y).mul(0.48)),
  start: [5, -5],
  atStart: 25,
  minima: points(0, [0, 0]),
  domain: box(2, -10, 10),
  hard: "A quadratic of condition 25 whose axes are the diagonals: a rate for each coordinate does not help.",
  source: "Jamil & Yang 2013, no. 71; the start lies on the steep axis",
});

export const goldsteinPrice = fixed("goldsteinPrice", {
  title: "Goldstein–Price",
  formula:
    "(1 + (x + y + 1)² (19 − 14 x + 3 x² − 14 y + 6 x y + 3 y²)) · " +
    "(30 + (2 x − 3 y)² (18 − 32 x + 12 x² + 48 y − 36 x y + 27 y²))",
  f(x, y) {
    const [xx, xy, yy] = [x.square(), x.mul(y), y.square()];
    const inner = x.mul(-14).add(xx.mul(3)).sub(y.mul(14)).add(xy.mul(6)).add(yy.mul(3)).add(19);
    const outer = x.mul(-32).add(xx.mul(12)).add(y.mul(48)).sub(xy.mul(36)).add(yy.mul(27)).add(18);
    const left = x.add(y).add(1).square().mul(inner).add(1);
    return left.mul(x.mul(2).sub(y.mul(3)).square().mul(outer).add(30));
  },
  start: [0.1, -0.8],
  atStart: 28.14379024,
  minima: points(3, [0, -1]),
  localMinima: [...points(30, [-0.6, -0.4]), ...points(84, [1.8, 0.2]), ...points(840, [1.2, 0.8])],
  domain: box(2, -2, 2),
  hard: "From 3 to a million within the box, and three local minima: a rate that is safe on the slopes crawls below.",
  source: "Goldstein & Price 1971",
});

export const sixHumpCamel = fixed("sixHumpCamel", {
  title: "Six-hump camel",
  formula: "(4 − 2.1 x² + x⁴ / 3) x² + x y + (4 y² − 4) y²",
  f(x, y) {
    const [xx, yy] = [x.square(), y.square()];
    const ridge = xx.mul(-2.1).add(xx.square().div(3)).add(4).mul(xx);
    return ridge.add(x.mul(y)).add(yy.mul(4).sub(4).mul(yy));
  },
  start: [0.1, -0.6],
  atStart: -0.9418096666666667,
  minima: plusMinus(-1.0316284534898774, [0.08984201310031806, -0.7126564030207396]),
  localMinima: [
    ...plusMinus(-0.21546382438371764, [1.703606714969981, -0.7960835686726251]),
    ...plusMinus(2.1042503103112584, [1.6071047529201972, 0.5686514548841314]),
  ],
  domain: [
    [-2, 2],
    [-1, 1],
  ],
  hard: "Six minima and a saddle at 0, where a method that starts there stays.",
  source: "Dixon & Szegö 1978",
});

export const threeHumpCamel = fixed("threeHumpCamel", {
  title: "Three-hump camel",
  formula: "2 x² − 1.05 x⁴ + x⁶ / 6 + x y + y²",
  f(x, y) {
    const xx = x.square();
    return xx.mul(2).sub(xx.square().mul(1.05)).add(xx.square().mul(xx).div(6)).add(x.mul(y)).add(y.square());
  },
  start: [1, 1],
  atStart: 3.1166666666666667,
  minima: points(0, [0, 0]),
  localMinima: plusMinus(0.2986384422368598, [1.7475523458302888, -0.8737761729151444]),
  domain: box(2, -2.5, 2.5),
  hard: "A local minimum on each side, as wide as the global one between them.",
  source: "Branin 1972; Dixon & Szegö 1975",
});

export const mcCormick = fixed("mcCormick", {
  title: "McCormick",
  formula: "sin(x + y) + (x − y)² − 1.5 x + 2.5 y + 1",
  f: (x, y) => x.add(y).sin().add(x.sub(y).square()).sub(x.mul(1.5)).add(y.mul(2.5)).add(1),
  start: [-0.5, -1.5],
  atStart: -1.9092974268256817,
  minima: points(-1.9132229549810364, [-0.5471975511965977, -1.5471975511965979]),
  localMinima: points(1.2283696986087569, [2.5943951023931957, 1.5943951023931955]),
  domain: [
    [-1.5, 4],
    [-3, 4],
  ],
  hard: "The minimum is that of the box alone: further along the valley each next one is lower by π, without end.",
  source: "McCormick 1976; Jamil & Yang 2013, no. 72",
});

export const branin = fixed("branin", {
  title: "Branin",
  formula: "(y − 5.1 x² / (4 π²) + 5 x / π − 6)² + 10 (1 − 1 / (8 π)) cos x + 10",
  f(x, y) {
    const parabola = y
      .sub(x.square().mul(5.1 / (4 * Math.PI ** 2)))
      .add(x.mul(5 / Math.PI))
      .sub(6);
    return parabola
      .square()
      .add(x.cos().mul(10 * (1 - 1 / (8 * Math.PI))))
      .add(10);
  },
  start: [3, 2],
  atStart: 0.644534069473434,
  minima: points(0.3978873577297383, [Math.PI, 2.275], [-Math.PI, 12.275], [9.42477796076938, 2.475]),
  domain: [
    [-5, 10],
    [0, 15],
  ],
  hard: "Three equal minima along a bent valley, with low passes between them.",
  source: "Branin 1972; Dixon & Szegö 1978",
});

export const freudensteinRoth = fixed("freudensteinRoth", {
  title: "Freudenstein–Roth",
  formula: "(x − 13 + ((5 − y) y − 2) y)² + (x − 29 + ((y + 1) y − 14) y)²",
  f(x, y) {
    const left = y.neg().add(5).mul(y).sub(2).mul(y).add(x).sub(13);
    return left.square().add(y.add(1).mul(y).sub(14).mul(y).add(x).sub(29).square());
  },
  start: [0.5, -2],
  atStart: 400.5,
  minima: points(0, [5, 4]),
  localMinima: points(48.98425367924002, [11.412778986902094, -0.8968052532744765]),
  domain: [
    [-10, 20],
    [-5, 6],
  ],
  hard: "From the usual start descents end in the local minimum, at 48.98.",
  source: "Freudenstein & Roth 1963; MGH 2",
});

export const powellSingular = fixed("powellSingular", {
  title: "Powell's singular function",
  formula: "(a + 10 b)² + 5 (c − d)² + (b − 2 c)⁴ + 10 (a − d)⁴",
  f(a, b, c, d) {
    const squares = a.add(b.mul(10)).square().add(c.sub(d).square().mul(5));
    return squares.add(b.sub(c.mul(2)).square().square()).add(a.sub(d).square().square().mul(10));
  },
  start: [3, -1, 0, 1],
  atStart: 215,
  minima: points(0, [0, 0, 0, 0]),
  domain: box(4, -4, 5),
  hard: "The Hessian at the minimum has rank 2: gradient descent goes sublinear there, Newton's method linear.",
  source: "Powell 1962; MGH 13",
});

export const wood = fixed("wood", {
  title: "Wood",
  formula: "100 (b − a²)² + (1 − a)² + 90 (d − c²)² + (1 − c)² + 10 (b + d − 2)² + 0.1 (b − d)²",
  f(a, b, c, d) {
    const left = b.sub(a.square()).square().mul(100).add(a.sub(1).square());
    const right = d.sub(c.square()).square().mul(90).add(c.sub(1).square());
    return left.add(right).add(b.add(d).sub(2).square().mul(10)).add(b.sub(d).square().mul(0.1));
  },
  start: [-3, -1, -3, -1],
  atStart: 19192,
  minima: points(0, [1, 1, 1, 1]),
  domain: box(4, -4, 4),
  hard: "Two Rosenbrock valleys, coupled; near (−1, 1, −1, 1) a saddle at 7.88 holds descents up for long.",
  source: "Colville 1968; MGH 14",
});
