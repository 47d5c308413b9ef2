/** What a training tells of the memory that it takes. */
import { expect, test } from "vitest";
import { crossEntropy, linear, sequential, tanh } from "../../src/nn/index.ts";
import { adam } from "../../src/optim/index.ts";
import { fit, type Start } from "../../src/train/index.ts";
import { backends } from "../backends.ts";
import { classes } from "./classes.ts";

test.each(backends)("once, before the first step, and afterwards how much of it was used, %s", async (backend) => {
  const net = sequential(linear(3, 256), tanh, linear(256, 3));
  const told: (Start & { readonly after: number })[] = [];
  let after = 0;
  const { memory } = await fit({
    net,
    loss: crossEntropy,
    optimizer: adam(),
    data: { train: classes(103), validation: classes(41, 500) },
    lr: 0.01,
    batch: 10,
    epochs: 3,
    backend,
    threads: 1,
    onStart: (start) => told.push({ ...start, after }),
    onProgress: ({ step }) => {
      after = step;
    },
  });
  expect(told).toHaveLength(1);
  const [{ predictedBytes, processBytes, after: steps }] = told as [Start & { after: number }];
  expect(steps).toBe(0);
  const parameters = 3 * 256 + 256 + 256 * 3 + 3;
  expect(predictedBytes).toBeGreaterThan(4 * 3 * parameters + 4 * 3 * 144); // with two moments, and the rows
  expect(memory).toMatchObject({ predictedBytes });
  if (backend === "js") {
    expect(processBytes).toBeUndefined();
    expect(memory.usedBytes).toBeUndefined();
  } else {
    expect(processBytes).toBeGreaterThan(predictedBytes);
    expect(memory.processBytes).toBe(processBytes);
    expect(memory.usedBytes).toBeGreaterThan(4 * 3 * parameters);
  }
});
