/** A traced function as an Objective: one program for value and gradient, others for what only some methods ask. */
import { fail, shown } from "../ir/fail.ts";
import { hvp, valueAndGrad } from "../ir/grad.ts";
import { topo } from "../ir/graph.ts";
import { input, Tensor } from "../ir/tensor.ts";
import { Value, value } from "../ir/value.ts";
import { foldIn, key } from "../random.ts";
import type { Loop, Traced } from "../run/loop.ts";
import { Run, type RunOptions } from "../run/run.ts";
import * as tree from "../tree.ts";
import type { Form, Variables } from "./form.ts";
import type { Objective, Point } from "./method.ts";
import type { Vector } from "./vector.ts";

/**
 * A scalar function of x. `data` is the option of that name, resident where the program is. `key` is a u32[2] that is
 * another one each time f is computed, to draw from: only the optimizers of `downhill/optim` can do with such an f.
 */
export type Scalar<X, D> = (x: Variables<X>, data: Traced<D>, key: Tensor) => Tensor;

export type Evaluations = { readonly value: number; readonly gradient: number; readonly hvp: number };

// any: feeds and outputs differ by what is asked; each question below reads its own.
type AnyLoop = Loop<Record<string, never>, any, any, any>;

export class Compiled<X, D> implements Objective {
  readonly draws: boolean;
  readonly run: Run<Record<string, never>>;
  readonly counts = { value: 0, gradient: 0, hvp: 0 };
  private readonly form: Form<X>;
  private readonly loop: AnyLoop;
  private readonly keys: (evaluation: number) => { readonly key?: Value };

  /** Throws where f does not give one float. */
  static async start<X, D>(f: Scalar<X, D>, form: Form<X>, options: RunOptions & { data?: D; seed?: number }) {
    const { backend, threads, data = {} as D, seed = 0 } = options;
    const draws = drawn(f, form, data);
    return new Compiled(f, form, data, await Run.start({}, { backend, threads }), draws, seed);
  }

  private constructor(
    f: Scalar<X, D>,
    form: Form<X>,
    data: D,
    run: Run<Record<string, never>>,
    draws: boolean,
    seed: number,
  ) {
    this.form = form;
    this.run = run;
    this.draws = draws;
    this.keys = draws ? (k) => ({ key: keysOf(seed, k, 1) }) : () => ({});
    const computed = (_: unknown, feed: any, data: Traced<D>) => {
      const at = (x: Variables<X>) => numberOf(f(x, data, feed.key ?? unused()));
      if ("value" in feed) return { output: { value: at(feed.value) } };
      if ("along" in feed) return { output: { product: hvp(at, feed.point as Variables<X>, feed.along) } };
      const [value, gradient] = valueAndGrad(at)(feed.point as Variables<X>);
      return { output: { value, gradient } };
    };
    this.loop = run.loop<any, any, D>(computed, { data });
  }

  get roundoff(): number {
    return this.form.roundoff;
  }

  get evaluations(): Evaluations {
    return { ...this.counts };
  }

  async at(x: Vector): Promise<Point> {
    this.counts.value++;
    this.counts.gradient++;
    const point = this.form.values(x, 1);
    const { value, gradient } = await this.ask({ point });
    const rounded = this.form.roundoff > 2 ** -53 ? this.form.vector(point) : x;
    return { x: rounded, value: value.data[0], gradient: this.form.vector(gradient) };
  }

  async value(x: Vector): Promise<number> {
    this.counts.value++;
    const { value } = await this.ask({ value: this.form.values(x, 1) });
    return value.data[0];
  }

  async hessianTimes(x: Vector, v: Vector): Promise<Vector> {
    this.counts.hvp++;
    const { product } = await this.ask({ point: this.form.values(x, 1), along: this.form.values(v, 1) });
    return this.form.vector(product);
  }

  private async ask(question: Record<string, unknown>) {
    const { value, hvp } = this.counts;
    return (await this.loop.take(1, { ...question, ...this.keys(value + hvp) })).output;
  }
}

/** A key that no result depends on: what draws was found out before. */
const unused = (): Tensor => input([2], "u32", "key");

/** Keys of so many evaluations from `first` on: u32[n, 2]. */
export const keysOf = (seed: number, first: number, n: number): Value =>
  value([n, 2], Array.from({ length: n }, (_, k) => foldIn(key(seed), first + k)).flat(), "u32");

/** Whether f draws from its key. */
function drawn<X, D>(f: Scalar<X, D>, form: Form<X>, data: D): boolean {
  const traced = (t: unknown) => tree.mapWithPath((path, v: Value) => input(v.shape, v.dtype, path), t);
  for (const [path, v] of tree.paths(data)) {
    if (!(v instanceof Value))
      fail(`minimize: data.${path} must be a Value, got ${shown(v)}`, "make one with value(shape, numbers)");
  }
  const key = unused();
  return topo([numberOf(f(traced(form.values(form.start)), traced(data), key))]).includes(key);
}

export function numberOf(y: unknown): Tensor {
  if (!(y instanceof Tensor)) {
    return fail(
      `minimize: f must give a Tensor, got ${shown(y)}`,
      "minimize((x) => x.square().sum(), [3, 4], lbfgs())",
    );
  }
  if (!y.isFloat || y.shape.some((n) => n !== 1)) {
    fail(`minimize: f must give one float, got ${y}`, "of several numbers take the sum or the mean: .sum(), .mean()");
  }
  return y.reshape([]);
}
