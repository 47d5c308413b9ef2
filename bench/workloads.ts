/**
 * The workloads: training steps as a user writes them, from the public API, with their data resident. What is measured
 * are shapes and update rules, so the data are noise.
 */
import { mlpOf, sgd1, wideOf } from "./dense.ts";
import { matmuls } from "./matmul.ts";
import { cnn, gpt, gptM } from "./networks.ts";
import { adamw25m, valley } from "./updates.ts";
import type { Workload } from "./workload.ts";

export const workloads: readonly Workload[] = [
  sgd1,
  mlpOf(1, 2000),
  mlpOf(32, 500),
  mlpOf(512, 50),
  mlpOf(4096, 8),
  wideOf("f32"),
  wideOf("bf16"),
  cnn,
  gpt,
  gptM,
  adamw25m,
  valley,
  ...matmuls,
];
