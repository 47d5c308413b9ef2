/** What --optimizer may say is the registry: every row of it gets a rate, a decay and a rule for tables, images and texts. */
import { expect, test } from "vitest";
import { languageModel, languageRecipe, languageRule } from "../../src/cli/language.ts";
import { recipe, ruleOf } from "../../src/cli/recipe.ts";
import { visionRecipe } from "../../src/cli/vision.ts";
import { init } from "../../src/nn/index.ts";
import { type OptimizerName, optimizers } from "../../src/optim/index.ts";
import { paths } from "../../src/tree.ts";

const table = { task: "multiclass", rows: 3000, features: 20, classes: 3, watched: true } as const;
const pictures = { height: 28, width: 28, channels: 1, classes: 10 } as const;

test.each(Object.keys(optimizers) as OptimizerName[])("%s", (optimizer) => {
  const linear = recipe(table, { optimizer, model: "linear" });
  const vision = visionRecipe({ optimizer }, pictures, 5000);
  for (const r of [recipe(table, { optimizer }), linear, vision]) {
    expect(r.lr).toBeGreaterThan(0);
    expect(r.weightDecay).toBeGreaterThanOrEqual(0);
    expect(ruleOf(r, 100).describe).toContain(`${optimizer}(`);
  }
  const text = languageRecipe({ optimizer });
  expect(text.lr).toBeGreaterThan(0);
  expect(languageRule(text).describe).toContain(`${optimizer}(`);
});

test("of a text Muon has the weights of the blocks, AdamW the tables", () => {
  const rule = languageRule(languageRecipe({ optimizer: "muon" }));
  const net = languageModel({ vocabulary: 5, context: 4, layers: 1, heads: 1, width: 4, dropout: 0 });
  const state = paths(rule.init(init(net, 1).params)).map(([path]) => path);
  const moments = (suffix: string) => state.filter((path) => path.endsWith(suffix));
  expect(
    moments(".m")
      .filter((path) => !state.includes(path.replace(/\.m$/, ".v")))
      .map((path) => path.replace(/^[\d.]+/, "")),
  ).toEqual([
    "transformer.h.0.attn.c_attn.weight.m",
    "transformer.h.0.attn.c_proj.weight.m",
    "transformer.h.0.mlp.c_fc.weight.m",
    "transformer.h.0.mlp.c_proj.weight.m",
  ]);
});

test("a weight decay is refused by a rule that has none, and told as 0", () => {
  const rules = Object.entries(optimizers) as [OptimizerName, { options: readonly string[] }][];
  const without = rules.flatMap(([name, { options }]) => (options.includes("weightDecay") ? [] : [name]));
  expect(without).toContain("rprop");
  for (const optimizer of without) {
    const wishes = { optimizer, weightDecay: 0.1 };
    const message = `--weight-decay 0.1: ${optimizer} has none`;
    expect(() => recipe(table, wishes)).toThrow(message);
    expect(() => visionRecipe(wishes, pictures, 5000)).toThrow(message);
    expect(() => languageRecipe(wishes)).toThrow(message);
    expect(recipe(table, { optimizer }).weightDecay).toBe(0);
    expect(recipe(table, { optimizer, weightDecay: 0 }).weightDecay).toBe(0);
  }
});
