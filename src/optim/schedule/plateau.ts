/**
 * A rate that falls when what is measured gets no better. The rule remembers nothing: it goes through the history again
 * whenever it is asked, so that a resumed run has the rates of one that was never stopped.
 */
import { fail } from "../../ir/fail.ts";
import { requireLr, show } from "../hyper.ts";
import {
  type Measured,
  requireFactor,
  requireFloor,
  requireOneOf,
  requireOptions,
  requireRate,
  requireSteps,
  type Schedule,
} from "./schedule.ts";

/**
 * lr, times `factor` whenever more than `patience` entries in a row were no better than the best by a share of
 * `threshold`, down to `floor`; the next `cooldown` entries then count for nothing. What is not a number is no better.
 *
 * metric  "loss", the validation loss or where there is none the training loss, unless the name of a metric is given;
 *         `better` then says which way is better
 *
 * PyTorch's ReduceLROnPlateau, with its defaults and threshold_mode "rel"; its `eps`, by which a rate below 1e-8 is
 * not reduced, is left out. Optax' reduce_on_plateau falls one entry earlier: its patience 10 is 9 here.
 * A rate that follows from a history without the metric throws.
 */
export function plateau(o: Plateau): Schedule {
  requireOptions("plateau", o, ["lr", "factor", "patience", "threshold", "cooldown", "floor", "metric", "better"]);
  const { lr, factor = 0.1, patience = 10, threshold = 1e-4, cooldown = 0, floor = 0, metric = "loss" } = o;
  const { better = metric === "loss" ? "lower" : undefined } = o;
  requireLr("plateau", lr);
  requireFactor("plateau", "factor", factor);
  requireSteps("plateau", "patience", patience, 0);
  requireRate("plateau", "threshold", threshold);
  requireSteps("plateau", "cooldown", cooldown, 0);
  requireFloor("plateau", floor, lr);
  if (typeof metric !== "string") fail(`plateau: metric must be the name of one, got ${show(metric)}`);
  requireOneOf(`plateau of ${metric}`, "better", better, ["lower", "higher"]);
  const improves =
    better === "higher"
      ? (now: number, best: number) => now > best * (1 + threshold)
      : (now: number, best: number) => now < best * (1 - threshold);
  const rate = (t: number, history: readonly Measured[]) => {
    let [now, best, bad, resting] = [lr, better === "higher" ? -Infinity : Infinity, 0, 0];
    for (const entry of history) {
      if (entry.step > t) break;
      const found = measured(entry, metric);
      if (improves(found, best)) [best, bad] = [found, 0];
      else bad++;
      if (resting > 0) [resting, bad] = [resting - 1, 0];
      if (bad > patience) [now, resting, bad] = [Math.max(now * factor, floor), cooldown, 0];
    }
    return now;
  };
  return Object.assign((t: number) => rate(t, []), {
    following: (history: readonly Measured[]) => (t: number) => rate(t, history),
  });
}
export type Plateau = {
  lr: number;
  factor?: number;
  patience?: number;
  threshold?: number;
  cooldown?: number;
  floor?: number;
  metric?: string;
  better?: "lower" | "higher";
};

function measured({ trainLoss, validationLoss, metrics = {} }: Measured, metric: string): number {
  if (metric === "loss") return validationLoss ?? trainLoss;
  const names = ["loss", ...Object.keys(metrics)];
  return metrics[metric] ?? fail(`plateau: "${metric}" is not measured`, `measured: ${names.join(", ")}`);
}
