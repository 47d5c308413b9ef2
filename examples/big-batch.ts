/**
 * A step from 64 texts in little memory, three ways: batches that are added up, blocks that are computed again for the
 * backward pass, and both. What is learnt is the same; memory and time are not.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { tree, type Value, value } from "downhill";
import { parseText } from "downhill/data";
import { characters } from "downhill/data/tokenizer";
import { crossEntropy, gpt } from "downhill/nn";
import { adamW, chain, clipGlobalNorm } from "downhill/optim";
import { fit, windows } from "downhill/train";

const text = parseText(readFileSync("examples/data/pride_and_prejudice.txt")).slice(0, 100_000);
const tokenizer = characters(text);
const tokens = tokenizer.encode(text);
const [context, texts, steps] = [64, 64, 8];

/** 8 steps of a GPT with 6 blocks, each from 64 texts. */
async function trained({ batch, checkpoint = false }: { batch: number; checkpoint?: boolean }) {
  const net = gpt({ vocabulary: tokenizer.size, context, layers: 6, heads: 4, width: 64, checkpoint });
  const { params, history, memory, secondsTraining } = await fit({
    net,
    loss: crossEntropy,
    optimizer: chain(clipGlobalNorm(1), adamW()),
    lr: 1e-3,
    data: { train: windows(value([tokens.length], tokens, "i32"), { context }) },
    batch,
    accumulate: texts / batch,
    steps,
    threads: 1,
    seed: 1,
  });
  const numbers = tree.leaves<Value>(params).map(({ data }) => Float32Array.from(data));
  const loss = history.at(-1)!.trainLoss;
  return { numbers, loss, ...memory, ms: (secondsTraining * 1000) / steps };
}

const ways = {
  "all at once": await trained({ batch: texts }),
  "blocks computed again": await trained({ batch: texts, checkpoint: true }),
  "8 batches of 8": await trained({ batch: 8 }),
  "8 of 8, blocks again": await trained({ batch: 8, checkpoint: true }),
};

const MB = (bytes: number | undefined) => (bytes === undefined ? "?" : (bytes / 1e6).toFixed(1));
console.log(`${"".padEnd(24)}predicted    used  (MB)    ms a step    loss`);
for (const [name, { predictedBytes, usedBytes, ms, loss }] of Object.entries(ways)) {
  const cells = [MB(predictedBytes).padStart(9), MB(usedBytes).padStart(8), ms.toFixed(0).padStart(15)];
  console.log(`${name.padEnd(24)}${cells.join("")}  ${loss.toFixed(6).padStart(10)}`);
}

const { "all at once": whole, "blocks computed again": again, ...added } = ways;
assert.deepEqual(again.numbers, whole.numbers); // every bit of every parameter
assert.ok(again.predictedBytes < 0.5 * whole.predictedBytes, "less memory");
for (const [name, { loss, predictedBytes }] of Object.entries(added)) {
  assert.ok(Math.abs(loss - whole.loss) < 1e-5 * whole.loss, name); // sums in another order
  assert.ok(predictedBytes < whole.predictedBytes, name);
}
for (const { usedBytes, predictedBytes } of Object.values(ways)) {
  assert.ok(usedBytes === undefined || Math.abs(usedBytes / predictedBytes - 1) < 0.1, "as predicted");
}
