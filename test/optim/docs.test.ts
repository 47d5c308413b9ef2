/** docs/optimizers.md is what the tables say; what it counts, one can count by hand; what it shows, works. */
import { expect, test, vi } from "vitest";
import { costOfStep, stateOf } from "../../scripts/docs/cost.ts";
import { optimizersPage } from "../../scripts/docs/optimizers.ts";
import { rows } from "../../scripts/docs/signum.ts";
import type { Tensor } from "../../src/ir/index.ts";
import { adafactor, adam, ema, muon, nadam, sgd, shampoo } from "../../src/optim/index.ts";
import { descent, feeds, values } from "./descent.ts";

const page = optimizersPage();

test("docs/optimizers.md is what the tables say", async () => {
  const refresh = "docs/optimizers.md is not what the tables say any more: npm run docs writes it anew";
  await expect(page, refresh).toMatchFileSnapshot("../../docs/optimizers.md");
});

test("its links lead somewhere", () => {
  const seen = new Map<string, number>();
  const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, title]) => {
    const slug = title!
      .toLowerCase()
      .replace(/[^\w -]/g, "")
      .replaceAll(" ", "-");
    const before = seen.get(slug) ?? 0;
    seen.set(slug, before + 1);
    return before ? `${slug}-${before}` : slug; // as GitHub counts them
  });
  const links = [...page.matchAll(/\]\(#([^)]+)\)/g)].map(([, to]) => to);
  expect(links.length).toBeGreaterThan(30);
  expect(links.filter((to) => !anchors.includes(to!))).toEqual([]);
});

test("state is what one counts by hand", () => {
  expect(stateOf(sgd())).toEqual({ ofMatrix: 0, ofVector: 0, ofMillion: 0 });
  expect(stateOf(adam())).toEqual({ ofMatrix: 2, ofVector: 2, ofMillion: 8e6 }); // m, v
  expect(stateOf(adafactor())).toEqual({ ofMatrix: (64 + 32) / (64 * 32), ofVector: 1, ofMillion: 4 * 2000 });
  expect(stateOf(muon())).toEqual({ ofMatrix: 1, ofVector: 2, ofMillion: 4e6 }); // AdamW has the vectors
  expect(stateOf(nadam())).toEqual({ ofMatrix: 2, ofVector: 2, ofMillion: 8e6 + 4 }); // and μ₁ ⋯ μₜ
  const axes = (64 ** 2 + 32 ** 2) / 2048;
  expect(stateOf(shampoo())).toEqual({ ofMatrix: axes + 1, ofVector: 32 + 1, ofMillion: 12e6 });
});

test("cost is what one counts by hand", () => {
  // Read g; read and write p; and m, v, the average.
  expect(costOfStep(sgd()).moved).toBeCloseTo(4 * 3, 3);
  expect(costOfStep(adam()).moved).toBeCloseTo(4 * 7, 3);
  expect(costOfStep(ema(adam())).moved).toBeCloseTo(4 * 9, 3);
  expect(costOfStep(sgd()).operations).toBeCloseTo(2, 3);
  // Five times X Xᵀ, its square, and their sum times X, each 2 · 512 operations for an element.
  const products = 5 * 3 * 2 * 512;
  expect(costOfStep(muon()).operations / products).toBeGreaterThan(1);
  expect(costOfStep(muon()).operations / products).toBeLessThan(1.01);
});

test("its programs run", async () => {
  const log = vi.spyOn(console, "log").mockReturnValue();
  await import("../../scripts/docs/own-rule.ts"); // throws if it does not find the minimum
  expect(log).toHaveBeenCalledOnce();
});

test("its row for the registry is the paper's rule", async () => {
  const [mu, lambda, lr] = [0.9, 0.1, 0.01];
  const rule = rows.signum.make({ momentum: mu, weightDecay: lambda });
  const valley = ({ w }: { w?: Tensor }) => w!.square().mul(w!).sum();
  const { loop } = await descent(rule, () => valley, values({ w: [1, -2, 0.05] }, "f64"));
  const { output } = await loop.take(
    30,
    feeds(30, () => lr),
  );
  const byHand = (p: number) => {
    let m = 0;
    return Array.from({ length: 30 }, () => {
      m = mu * m + (1 - mu) * 3 * p * p;
      p -= lr * (Math.sign(m) + lambda * p);
      return p;
    });
  };
  const [a, b, c] = [byHand(1), byHand(-2), byHand(0.05)];
  const wanted = a.flatMap((x, t) => [x, b[t]!, c[t]!]);
  output.w.w!.data.forEach((x, k) => expect(x).toBeCloseTo(wanted[k]!, 12));
});
