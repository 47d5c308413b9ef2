/** --schedule and --accumulate on a table, a text and images: told, kept, interrupted and resumed to the same bits. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { schedules } from "../../src/optim/index.ts";
import { downhill, flowers, skies, workplace } from "./terminal.ts";

const { file } = workplace();
file("flowers.csv", flowers(100));
file("hills.txt", "the hills go down, and down again.\n".repeat(12));
skies("sky");
const filled = (text: string) => text.replace(/\s+/g, " ");

/** Small ones of each kind. */
const kinds = {
  table: ["flowers.csv", "--target", "kind", "--hidden", "8", "--epochs", "12", "--batch", "10"],
  text: [
    ...["hills.txt", "--context", "8", "--layers", "1", "--heads", "2", "--width", "8"],
    ...["--batch", "4", "--steps", "16"],
  ],
  images: ["sky", "--hidden", "4", "--epochs", "6", "--batch", "8", "--augment", "crop"],
};

describe.each(Object.entries(kinds))("%s", (kind, all) => {
  const js = [...all, "--backend", "js"];

  test("--accumulate and --schedule plateau: told, kept, and resumed to the same bits", async () => {
    const more = [...js, "--accumulate", "2", "--schedule", "plateau"];
    const { code, out, err: told } = await downhill(["train", ...more, "--json", "--out", `${kind}-whole`]);
    expect(code).toBe(0);
    expect(JSON.parse(out).steps).toBe({ table: 48, text: 16, images: 12 }[kind]);
    expect(filled(told)).toMatch(/\(plateau\), weight decay [\d.e-]+, 2 batches of (10|4|8) per step/);
    expect(filled(told).includes("batch normalisation sees each batch by itself")).toBe(kind === "images");
    const { configuration } = JSON.parse(readFileSync(`${kind}-whole/run.json`, "utf8"));
    expect(configuration.recipe).toMatchObject({ accumulate: 2, schedule: "plateau" });

    const signal = AbortSignal.abort();
    const stopped = await downhill(["train", ...more, "--out", `${kind}-parts`], { signal });
    expect(stopped.code).toBe(130);
    expect((await downhill(["train", "--resume", `${kind}-parts`])).code).toBe(0);
    const model = (run: string) => readFileSync(`${kind}-${run}/model.safetensors`);
    expect(model("parts").equals(model("whole"))).toBe(true);
    const { code: refused, err } = await downhill(["train", "--resume", `${kind}-whole`, "--accumulate", "3"]);
    expect(refused).toBe(2);
    expect(err).toContain("--accumulate 3: a resumed run goes on with its own settings, here 2");
  });

  test("more batches than there are data", async () => {
    const { code, err } = await downhill(["train", ...js, "--accumulate", "500", "--out", `${kind}-many`]);
    expect(code).toBe(2);
    expect(err).toContain("--accumulate 500: ");
  });
});

test("one batch per step is what a run has that was not asked", async () => {
  const few = [...kinds.table, "--epochs", "2", "--backend", "js", "--out", "one", "--json"];
  const { out } = await downhill(["train", ...few]);
  expect(JSON.parse(out).steps).toBe(16);
  expect((await downhill(["train", "--resume", "one", "--accumulate", "1"])).code).toBe(0);
});

test.each(Object.keys(schedules))("--schedule %s trains", async (name) => {
  const few = [...kinds.table, "--epochs", "3", "--backend", "js", "--schedule", name, "--out", `by-${name}`];
  const { code, out } = await downhill(["train", ...few]);
  expect(code).toBe(0);
  expect(filled(out)).toContain(`(${name})`);
});
