import type { Tensor } from "downhill";
import { minimize } from "downhill/minimize";
import { chain, cosine, decay, filled, leafwise } from "downhill/optim";

/** Signum: the sign of a momentum. Bernstein et al. 2018, algorithm 2. */
const signum = (momentum = 0.9) =>
  leafwise(`signum(${momentum})`, {
    init: (p) => ({ m: filled(p) }), // zeros like p
    update(g, { m }) {
      const next = m.mul(momentum).add(g.mul(1 - momentum));
      return [next.div(next.abs().max(1e-30)), { m: next }]; // the direction, and what to remember
    },
  });

const bowl = (p: Tensor) => p.sub(3).square().sum();
const rule = chain(signum(), decay(1e-4)); // it goes wherever adamW() goes: into chain, groups, sam, fit
const { x } = await minimize(bowl, [0, 5], rule, { lr: cosine({ lr: 0.1, steps: 200 }), steps: 200 });
console.log(x); // close to [3, 3]
if (Math.hypot(x[0]! - 3, x[1]! - 3) > 0.01) throw new Error("it missed the minimum");
