/**
 * What a trained network gives for a table's rows. A program is compiled for one number of rows, so every file is cut
 * into blocks of the same size, the last one filled up: one program serves all of them, today and tomorrow.
 */
import { type Value, value } from "../ir/value.ts";
import type { Module } from "../nn/index.ts";
import type { BackendName } from "../run/backend.ts";
import type { Model } from "../train/checkpoint.ts";
import { predict } from "../train/index.ts";

const block = 256;

/** x f32[n, d] → f32[n, 1 | k] */
export async function outputsOf(
  net: Module,
  model: Model,
  x: Value<"f32">,
  backend: BackendName | "auto",
): Promise<Value> {
  const [n, d] = x.shape as [number, number];
  const filled = new Float32Array(Math.ceil(n / block) * block * d);
  filled.set(x.data);
  const all = await predict(net, model, value([filled.length / d, d], filled), { backend, batch: block });
  const width = all.shape[1]!;
  return value([n, width], Float32Array.from(all.data.subarray(0, n * width)));
}
