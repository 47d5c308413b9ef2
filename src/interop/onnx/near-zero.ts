/** eˣ − 1 and log(1 + x), which ONNX lacks, of operations that it has and without losing what is near 0. */
import type { Builder } from "./builder.ts";
import type { Wire } from "./wire.ts";

/** 2 t / (1 − t) of t = tanh(x / 2) where |x| < 1, which loses nothing near 0; eˣ − 1 elsewhere. */
export function expm1(b: Builder, x: Wire): Wire {
  const c = (n: number) => b.scalar(n, x.type);
  const t = b.elementwise("Tanh", [b.elementwise("Mul", [x, c(0.5)])]);
  const near = b.elementwise("Div", [b.elementwise("Mul", [t, c(2)]), b.elementwise("Sub", [c(1), t])]);
  const far = b.elementwise("Sub", [b.elementwise("Exp", [x]), c(1)]);
  const small = b.elementwise("Less", [b.elementwise("Abs", [x]), c(1)], { type: "bool" });
  return b.elementwise("Where", [small, near, far]);
}

/**
 * log(u) · x / (u − 1) with u = 1 + x as it is rounded (Kahan; Goldberg 1991, theorem 4), x where u is 1; log(u) where
 * x > 1 and nothing is lost.
 */
export function log1p(b: Builder, x: Wire): Wire {
  const c = (n: number) => b.scalar(n, x.type);
  const u = b.elementwise("Add", [x, c(1)]);
  const log = b.elementwise("Log", [u]);
  const over = b.elementwise("Sub", [u, c(1)]);
  const near = b.elementwise("Mul", [log, b.elementwise("Div", [x, over])]);
  const tiny = b.elementwise("Equal", [u, c(1)], { type: "bool" });
  const large = b.elementwise("Less", [c(1), x], { type: "bool" });
  return b.elementwise("Where", [large, log, b.elementwise("Where", [tiny, x, near])]);
}
