/** --precision on a table, a text and images: told, kept, resumed to the same bits, and used afterwards. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { downhill, flowers, skies, workplace } from "./terminal.ts";

const { file } = workplace();
file("flowers.csv", flowers(60));
file("hills.txt", "the hills go down, and down again.\n".repeat(12));
skies("sky", 12);

/** Small ones of each kind. */
const kinds = {
  table: ["flowers.csv", "--target", "kind", "--hidden", "8", "--epochs", "4", "--batch", "10"],
  text: [
    ...["hills.txt", "--context", "8", "--layers", "1", "--heads", "2", "--width", "8"],
    ...["--batch", "4", "--steps", "8"],
  ],
  images: ["sky", "--hidden", "4", "--epochs", "2", "--batch", "8"],
};

describe.each(Object.entries(kinds))("%s", (kind, all) => {
  test.each(["f16", "f64"])("%s: told, kept, and resumed to the same bits", async (precision) => {
    const more = [...all, "--backend", "js", "--precision", precision];
    const { code, out, err } = await downhill(["train", ...more, "--out", `${kind}-${precision}`]);
    expect([code, out.replace(/\s+/g, " ").includes(`, ${precision}`)], err).toEqual([0, true]);
    const { configuration } = JSON.parse(readFileSync(`${kind}-${precision}/run.json`, "utf8"));
    expect(configuration.recipe).toMatchObject({ precision });

    const parts = `${kind}-${precision}-parts`;
    expect((await downhill(["train", ...more, "--out", parts], { signal: AbortSignal.abort() })).code).toBe(130);
    expect((await downhill(["train", "--resume", parts])).code).toBe(0);
    const model = (run: string) => readFileSync(`${run}/model.safetensors`);
    expect(model(parts).equals(model(`${kind}-${precision}`))).toBe(true);
  });
});

test("--json tells the scale of the loss in f16", async () => {
  const more = ["--backend", "js", "--precision", "f16", "--json"];
  const { out } = await downhill(["train", ...kinds.table, ...more, "--out", "told"]);
  expect(JSON.parse(out).scaling).toMatchObject({ scale: 65536, skipped: 0 });
});

test("a model trained in f64 predicts as any other", async () => {
  const { code, out } = await downhill(["predict", "table-f64", "flowers.csv"]);
  expect([code, out.split("\n").length > 60]).toEqual([0, true]);
});

test("another name is refused with those that there are", async () => {
  const { code, err } = await downhill(["train", "flowers.csv", "--target", "kind", "--precision", "f8"]);
  expect(code).toBe(2);
  for (const name of ["f32", "bf16", "f16", "f64"]) expect(err).toContain(name);
});
