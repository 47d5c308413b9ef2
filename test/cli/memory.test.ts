/** Memory that a training on images will take, told before it is taken; the witness is the compiled program itself. */
import { describe, expect, test } from "vitest";
import { lossFor } from "../../src/cli/network.ts";
import { ruleOf } from "../../src/cli/recipe.ts";
import {
  evaluationBatch,
  requireRoom,
  type VisionWishes,
  visionArchitecture,
  visionBytes,
  visionNet,
  visionRecipe,
} from "../../src/cli/vision.ts";
import { peakBytes } from "../../src/compile/compile.ts";
import { Value } from "../../src/ir/value.ts";
import { init, type Module } from "../../src/nn/index.ts";
import { Run } from "../../src/run/run.ts";
import { examplesOf } from "../../src/train/examples.ts";
import { evaluateLoop } from "../../src/train/predict.ts";
import { type Trained, trainStep } from "../../src/train/step.ts";

const cases: readonly (VisionWishes & { channels: 1 | 3; size: number; batch: number })[] = [
  { channels: 3, size: 32, batch: 8 },
  { channels: 1, size: 64, batch: 32 },
  { channels: 3, size: 32, batch: 8, hidden: [4, 64, 64], augment: ["flip", "crop"] },
  { channels: 3, size: 32, batch: 16, hidden: [64, 16] },
  { channels: 3, size: 64, batch: 32, model: "mlp" },
  { channels: 3, size: 32, batch: 1, hidden: [8] },
  { channels: 1, size: 32, batch: 32, model: "linear" },
];

/** The network of some wishes, ten classes to tell apart. */
function planned({ channels, size, ...wishes }: (typeof cases)[number]) {
  const shape = { channels, height: size, width: size };
  return { net: visionArchitecture(wishes, shape, undefined, 10), recipe: visionRecipe(wishes, shape, 1000) };
}

/** What the programs of training and of evaluation hold beside the images: the larger of the two. */
async function peak({ net, recipe }: ReturnType<typeof planned>): Promise<number> {
  const { channels, height, width } = net;
  const module: Module = visionNet(net);
  const { params, state } = init(module, 1);
  const rule = ruleOf(recipe, 100);
  const run = await Run.start<Trained & { scaler: unknown }>(
    { params, state, opt: rule.init(params), scaler: {} },
    { backend: "js" },
  );
  const n = 2;
  const x = new Value("f32", [n, channels, height, width], new Float32Array(n * channels * height * width));
  const examples = examplesOf({ x, y: new Value("i32", [n], new Int32Array(n)) });
  const rows = (batch: number) => new Value("i32", [1, batch], new Int32Array(batch));
  const rate = new Value("f32", [1], new Float32Array(1));
  const key = new Value("u32", [1, 2], new Uint32Array(2));
  const loss = lossFor("multiclass");
  const resident = { data: examples.resident };
  const training = run
    .loop(trainStep(module, loss, rule, examples), resident)
    .compiled({ rows: rows(recipe.batch), step: rate, lr: rate, ...(net.dropout > 0 && { key }) });
  const evaluating = evaluateLoop(run, module, loss, examples, true).compiled({ rows: rows(evaluationBatch(net)) });
  return Math.max(peakBytes(training.program), peakBytes(evaluating.program)) - x.data.byteLength;
}

describe("visionBytes", () => {
  test.each(cases)("%o", async (wishes) => {
    const plan = planned(wishes);
    const ratio = visionBytes(plan.net, plan.recipe.batch) / (await peak(plan));
    expect(ratio).toBeGreaterThan(1);
    expect(ratio).toBeLessThan(1.7);
  });
});

test("requireRoom: the images may fit, and the network with its batch not", () => {
  const { net } = planned({ channels: 3, size: 1000, batch: 8 });
  requireRoom(net, 8, 42, 16e9);
  expect(() => requireRoom(net, 8, 42, 4e9)).toThrow(
    /42 images of 1000 × 1000 pixels takes about \d\.\d GB of memory: 1\.0 GB for the images, \d\.\d GB for the network with batches of 8; there are 4\.0 GB\n.*--size, --batch or --hidden/,
  );
  expect(() => requireRoom(net, 8, 420, 4e9)).toThrow(/10 GB for the images.*\n.*fewer images/);
});
