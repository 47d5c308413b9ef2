/** --average and rules that average, on a table, a text and images: told, kept, and resumed to the same bits. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { averaged, scheduleFor } from "../../src/cli/recipe.ts";
import { adamW } from "../../src/optim/index.ts";
import { downhill, flowers, skies, workplace } from "./terminal.ts";

const { file } = workplace();
file("flowers.csv", flowers(100));
file("hills.txt", "the hills go down, and down again.\n".repeat(12));
skies("sky");
const filled = (text: string) => text.replace(/\s+/g, " ");

/** Small ones of each kind; the images' net has batch norms. */
const kinds = {
  table: ["flowers.csv", "--target", "kind", "--hidden", "8", "--epochs", "6", "--batch", "10"],
  text: [
    ...["hills.txt", "--context", "8", "--layers", "1", "--heads", "2", "--width", "8"],
    ...["--batch", "4", "--steps", "16"],
  ],
  images: ["sky", "--hidden", "4", "--epochs", "4", "--batch", "8"],
};
const rules = {
  ema: ["--average", "ema:0.9"],
  schedule: ["--optimizer", "scheduleFreeAdamW"],
};

describe.each(Object.entries(kinds))("%s", (kind, all) => {
  test.each(Object.entries(rules))("%s", async (name, asked) => {
    const more = [...all, "--backend", "js", ...asked];
    const run = (part: string) => `${kind}-${name}-${part}`;
    const { code, out } = await downhill(["train", ...more, "--quiet", "--out", run("whole")]);
    expect(code).toBe(0);
    expect(filled(out)).toContain(name === "ema" ? "average ema:0.9" : "scheduleFreeAdamW, lr");
    const { configuration } = JSON.parse(readFileSync(`${run("whole")}/run.json`, "utf8"));
    expect(configuration.recipe).toMatchObject(
      name === "ema" ? { average: "ema:0.9" } : { optimizer: "scheduleFreeAdamW", schedule: "linear" },
    );

    const stopped = await downhill(["train", ...more, "--out", run("parts")], { signal: AbortSignal.abort() });
    expect(stopped.code).toBe(130);
    expect((await downhill(["train", "--resume", run("parts"), ...asked])).code).toBe(0);
    const model = (part: string) => readFileSync(`${run(part)}/model.safetensors`);
    expect(model("parts").equals(model("whole"))).toBe(true);
  });
});

test("an average that there is none of, or one too many", async () => {
  const train = ["train", "flowers.csv", "--target", "kind", "--backend", "js"];
  const refused = async (...more: string[]) => {
    const { code, err } = await downhill([...train, ...more]);
    expect(code).toBe(2);
    return err;
  };
  expect(await refused("--average", "ems")).toContain("Did you mean ema?");
  expect(await refused("--average", "ema:1")).toContain("from 0 to below 1");
  expect(await refused("--average", "swa", "--optimizer", "scheduleFreeSgd")).toContain(
    "--average swa: scheduleFreeSgd keeps an average itself",
  );
  const changed = ["train", "--resume", "table-ema-whole", "--average", "none"];
  expect((await downhill(changed)).err).toContain(
    "--average none: a resumed run goes on with its own settings, here ema:0.9",
  );
});

test("swa is of the last quarter, at a rate that stays up", () => {
  expect(averaged(adamW(), { average: "swa" }, 1000).describe).toMatch(/^swa\(adamW.*; from 750, every 10\)$/);
  expect(averaged(adamW(), { average: "swa" }, 1).describe).toMatch(/; from 1\)$/);
  expect(averaged(adamW(), { average: "ema" }, 1000).describe).toMatch(/^ema\(adamW.*; decay 0.999\)$/);
  expect(averaged(adamW(), {}, 1000).describe).toBe(adamW().describe);
  expect(scheduleFor({ average: "swa" })).toBe("linear");
  expect(scheduleFor({ average: "ema" })).toBe("warmupCosine");
  expect(scheduleFor({ optimizer: "scheduleFreeSgd", schedule: "cosine" })).toBe("cosine");
});
