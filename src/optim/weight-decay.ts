/** Where weight decay goes: into the gradient, into the direction, or into the weights before the rule sees them. */
import type { Tensor } from "../ir/tensor.ts";
import { mapWithPath } from "../tree.ts";
import { chain, only, type Where } from "./combine.ts";
import type { Chosen, Hyper } from "./hyper.ts";
import { decay, l2 } from "./rules.ts";
import type { Transform } from "./transform.ts";

type Decaying = Chosen<Pick<Hyper, "weightDecay">>;

const chosen = (t: Transform, where: Where | undefined): Transform => (where ? only(where, t) : t);

/** λ·p joins the gradient, before the rule. */
export const coupled = (o: Decaying, rule: Transform): Transform => {
  if (o.dialect === "keras") return shrinking(o, rule);
  return o.weightDecay ? chain(chosen(l2(o.weightDecay), o.decayOnly), rule) : rule;
};

/** λ·p joins the direction, after the rule. */
export const decayed = (o: Decaying, rule: Transform): Transform =>
  o.weightDecay ? chain(rule, chosen(decay(o.weightDecay), o.decayOnly)) : rule;

/** Weights shrink by 1 − lr·λ, then the rule sees the smaller ones: LAMB's ratio is of those. Keras' base class. */
export function shrinking({ weightDecay, decayOnly: where }: Decaying, rule: Transform): Transform {
  if (!weightDecay) return rule;
  return {
    ...rule,
    update(direction, state, context) {
      const { params, lr } = context;
      const decays = (path: string, p: Tensor) => !where || where(path, p);
      const share = (p: Tensor) => lr.cast(p.dtype).mul(weightDecay);
      const small = mapWithPath((path, p: Tensor) => (decays(path, p) ? p.sub(p.mul(share(p))) : p), params);
      const [u, next] = rule.update(direction, state, { ...context, params: small });
      const lost = (p: Tensor) => p.mul(rule.gives === "step" ? share(p) : weightDecay);
      return [mapWithPath((path, p: Tensor, d: Tensor) => (decays(path, p) ? d.add(lost(p)) : d), params, u), next];
    },
  };
}

/** λ·p, or lr·λ·p, joins a step, which has the rate in it already, after the rule. */
export function beside({ weightDecay, decayOnly: where }: Decaying, rule: Transform, timesLr: boolean): Transform {
  if (!weightDecay) return rule;
  return {
    ...rule,
    update(direction, state, context) {
      const [u, next] = rule.update(direction, state, context);
      const share = (p: Tensor) => p.mul(timesLr ? context.lr.cast(p.dtype).mul(weightDecay) : weightDecay);
      const joined = (path: string, p: Tensor, d: Tensor) => (!where || where(path, p) ? d.add(share(p)) : d);
      return [mapWithPath(joined, context.params, u), next];
    },
  };
}
