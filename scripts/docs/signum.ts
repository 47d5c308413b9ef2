/** The rule that docs/optimizers.md adds to the registry, as it would stand there. */
import type { Hyper } from "../../src/optim/hyper.ts";
import { ema, lifted, sign } from "../../src/optim/parts.ts";
import { row } from "../../src/optim/row.ts";
import { filled, type Transform } from "../../src/optim/transform.ts";
import { decayed } from "../../src/optim/weight-decay.ts";

// ---- src/optim/rules/sign.ts
/** Signum: direction sign(m), m ← μ m + (1 − μ) g. Bernstein et al. 2018, algorithm 2. */
const signOfAverage = ({ momentum }: Pick<Hyper, "momentum">): Transform =>
  lifted("signum", {
    init: (p) => ({ m: filled(p) }),
    update(g, { m }) {
      const next = ema(m, g, momentum);
      return [sign(next), { m: next }];
    },
  });

export const rows = {
  // ---- src/optim/optimizers.ts
  signum: row<"momentum" | "weightDecay">("signum", {
    lr: 1e-4,
    dialects: { paper: { momentum: 0.9, weightDecay: 0 } },
    summary: "The sign of a momentum: every weight moves by lr",
    formula: "m ← μ m + (1 − μ) g\np ← p − η (sign(m) + λ p)",
    when: "As lion, which looks further ahead.",
    source: "Bernstein et al. 2018, algorithm 2",
    rule: (o) => decayed(o, signOfAverage(o)),
  }),
  // ----
};
