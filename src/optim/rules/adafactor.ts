/**
 * Adafactor: Adam's second moment in sublinear memory. Of a matrix of squares only the means of rows and columns are
 * kept; their outer product, divided by the mean of all, takes the place of v. Shazeer & Stern 2018, algorithms 4 and 5.
 */
import type { Shape } from "../../ir/shape.ts";
import { scalar, type Tensor } from "../../ir/tensor.ts";
import type { Value } from "../../ir/value.ts";
import type { Dialect, Hyper } from "../hyper.ts";
import { ema, lifted } from "../parts.ts";
import { filled, type Transform } from "../transform.ts";

type Adafactor = Pick<
  Hyper,
  "decayPower" | "clipThreshold" | "relativeStep" | "scaleByParameter" | "minScale" | "factorFrom" | "momentum"
> &
  Partial<Pick<Hyper, "eps">>;

/**
 * v ← v + t^−γ (g² − v), u = g / √v, u / max(1, RMS(u) / d), times min(lr, 1 / √t) · max(ε₂, RMS(p)). What comes out is a
 * step: lr has a ceiling in it. Momentum, an average of steps without correction, is Optax'.
 *
 *   torch  v is ε² at least, and the mean of the rows ε; ε is the dtype's own unless given
 *   optax  g² + ε; factored are the two longest axes, where both have `factorFrom` elements
 *   keras  g² + ε
 * PyTorch and Keras factor the last two axes.
 */
export function adafactorRule(o: Adafactor, dialect: Dialect): Transform {
  return lifted<Record<string, Value>>(
    "adafactor",
    {
      init(p) {
        const axes = factored(p.shape, o.factorFrom, dialect);
        return {
          ...(axes ? { row: means(p, axes.long), column: means(p, axes.short) } : { v: filled(p) }),
          ...(o.momentum && { m: filled(p) }),
        };
      },
      update(g, state, { p, step, lr }) {
        const eps = o.eps ?? (p.dtype === "f64" ? 2 ** -52 : 2 ** -23);
        const fresh = step.log().mul(-o.decayPower).exp();
        const average = (v: Tensor, x: Tensor) => v.add(x.sub(v).mul(fresh));
        const squares = dialect === "torch" ? g.square() : g.square().add(eps);
        const axes = factored(p.shape, o.factorFrom, dialect);
        let [v, next]: [Tensor, Record<string, Tensor>] = [squares, {}];
        if (axes) {
          const row = average(state.row!, squares.mean(axes.long, { keep: true }));
          const column = average(state.column!, squares.mean(axes.short, { keep: true }));
          const all = row.mean(axes.short, { keep: true });
          v = row.div(dialect === "torch" ? all.max(eps) : all).mul(column);
          next = { row, column };
        } else {
          v = average(state.v!, squares);
          next = { v };
        }
        const u = g.div((dialect === "torch" ? v.max(eps ** 2) : v).sqrt());
        const rate = o.relativeStep ? lr.min(scalar(1, lr.dtype).div(step.sqrt())) : lr;
        const alpha = o.scaleByParameter ? rate.mul(rootMeanSquare(p).max(o.minScale)) : rate;
        const taken = u.mul(alpha.div(rootMeanSquare(u).div(o.clipThreshold).max(1)));
        if (!o.momentum) return [taken, next];
        const m = ema(state.m!, taken, o.momentum);
        return [m, { ...next, m }];
      },
    },
    "step",
  );
}

/** The two axes that are factored, none where one is too short. Rows are means along the long one. */
function factored(shape: Shape, from: number, dialect: Dialect): { short: number; long: number } | undefined {
  const axes = shape.map((_, k) => k);
  if (dialect === "optax") axes.sort((a, b) => shape[a]! - shape[b]!);
  const [short, long] = axes.slice(-2);
  if (short === undefined || long === undefined || Math.min(shape[short]!, shape[long]!) < from) return undefined;
  return { short, long };
}

/** Room for the means of p along one axis, which stays with length 1. */
const means = (p: Value, axis: number): Value => filled(p, 0, p.shape.with(axis, 1));

const rootMeanSquare = (x: Tensor): Tensor => x.square().mean().sqrt();
