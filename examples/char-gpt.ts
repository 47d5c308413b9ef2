/**
 * A GPT that writes like Jane Austen, letter by letter: two transformer blocks, trained from nothing on nine tenths of
 * "Pride and Prejudice", and judged on the last. The loss is in nats per letter: ln 75 = 4.3 for who knows nothing, less
 * for who has counted the letters, and less again for who has counted pairs of them. The network has to beat all three.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { tree, type Value, value } from "downhill";
import { parseText } from "downhill/data";
import { characters } from "downhill/data/tokenizer";
import { crossEntropy, gpt } from "downhill/nn";
import { adamW, chain, clipGlobalNorm, matrices, warmupCosine } from "downhill/optim";
import { fit, generate, windows } from "downhill/train";

const text = parseText(readFileSync("examples/data/pride_and_prejudice.txt"));
const tokenizer = characters(text);
const tokens = tokenizer.encode(text);
const cut = Math.floor(0.9 * tokens.length);
const [read, unread] = [tokens.slice(0, cut), tokens.slice(cut)];

/** Nats per letter of the unread part, guessed from how often each letter came, or came after the one before it. */
function counted(pairs: boolean) {
  const n = tokenizer.size;
  const counts = Array.from({ length: n }, () => new Float64Array(n).fill(0.1)); // so that nothing is impossible
  const after = (part: Int32Array, k: number) => counts[pairs ? part[k - 1]! : 0]!;
  for (let k = 1; k < read.length; k++) after(read, k)[read[k]!]!++;
  const totals = new Map(counts.map((row) => [row, row.reduce((a, b) => a + b)]));
  let nats = 0;
  for (let k = 1; k < unread.length; k++) {
    const row = after(unread, k);
    nats -= Math.log(row[unread[k]!]! / totals.get(row)!);
  }
  return nats / (unread.length - 1);
}
const [letters, pairs] = [counted(false), counted(true)];
console.log(`nats per letter: ${letters.toFixed(3)} from counts of letters, ${pairs.toFixed(3)} from counts of pairs`);

const [context, steps] = [48, 500];
const net = gpt({ vocabulary: tokenizer.size, context, layers: 2, heads: 4, width: 64, bias: false });
const part = (tokens: Int32Array<ArrayBuffer>) => value([tokens.length], tokens, "i32");
const model = await fit({
  net,
  loss: crossEntropy,
  optimizer: chain(clipGlobalNorm(1), adamW({ b2: 0.99, weightDecay: 0.1, decayOnly: matrices })),
  lr: warmupCosine({ lr: 5e-3, warmup: 50, steps, floor: 5e-4 }),
  data: {
    train: windows(part(read), { context }), // every place of the text begins one
    validation: windows(part(unread), { context, stride: context }),
  },
  batch: 16,
  steps,
  validateEvery: { steps: 250 },
  validationBatch: 64,
  seed: 1,
  onEntry: ({ step, validationLoss }) =>
    console.log(`step ${step}: ${validationLoss!.toFixed(3)} on what it has not read`),
});
const size = tree.leaves<Value>(model.params).reduce((sum, p) => sum + p.data.length, 0);
console.log(`${size} parameters, ${model.secondsTraining.toFixed(1)} s on ${model.backend}\n`);

const prompt = tokenizer.encode("It is a truth universally ");
process.stdout.write(tokenizer.decode(prompt));
const sampling = { tokens: 300, context, temperature: 0.7, topK: 20, seed: 1 };
for await (const token of generate(net, model, { prompt, ...sampling }))
  process.stdout.write(tokenizer.decode([token]));
console.log();

const loss = model.history.at(-1)!.validationLoss!;
assert.ok(loss < letters - 0.8 && loss < pairs - 0.2);
