/** What a peer is given, and how it is asked, in JavaScript: as protocol.py. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const kinds = { f32: Float32Array, i32: Int32Array };

/** The workload, and its numbers by their paths below params, data and feeds: { shape, data }. */
export function given(folder) {
  const { workload, steps, checked, restart, tensors } = JSON.parse(readFileSync(join(folder, "given.json"), "utf8"));
  const bytes = readFileSync(join(folder, "numbers.bin"));
  const trees = { params: {}, data: {}, feeds: {} };
  for (const { name, dtype, shape, at } of tensors) {
    const [tree, ...path] = name.split(".");
    const size = shape.reduce((a, b) => a * b, 1);
    const part = bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + at + 4 * size);
    trees[tree][path.join(".")] = { shape, data: new kinds[dtype](part), dtype };
  }
  // Each step is dispatched for itself, and some take long: a longer call gains nothing.
  return { workload, steps: Math.min(steps, 50), checked, restart, ...trees };
}

/** Row s of a feed. */
export const slice = ({ shape, data, dtype }, s) => {
  const size = data.length / shape[0];
  return { shape: shape.slice(1), data: data.slice(s * size, (s + 1) * size), dtype };
};

/** Some elements of each array, those that ours are looked at. */
const samples = (arrays) =>
  arrays.flatMap((a) => [0, 0.13, 0.37, 0.61, 0.89].map((part) => a[Math.floor(part * a.length)]));

/**
 * What is served of a step that is dispatched for itself. step(s) gives its loss, settled() waits for its state; their
 * numbers are read when all are under way.
 */
export function training({ checked }, { reset, step, settled = () => {} }) {
  const call = async (n) => {
    const losses = Array.from({ length: n }, (_, s) => step(s));
    await settled();
    const numbers = [];
    for (const loss of losses) {
      numbers.push((await loss.data())[0]);
      loss.dispose();
    }
    return numbers;
  };
  const check = async () => {
    await reset();
    return call(checked);
  };
  return { reset, call, check };
}

/** The same of a matrix product, which must be there before the next is asked for. */
export function matmul(product) {
  const call = async (n) => {
    let last;
    for (let s = 0; s < n; s++) {
      const c = await product();
      if (s === n - 1) last = await c.data();
      c.dispose();
    }
    return last;
  };
  return { reset() {}, call, check: async () => samples([await call(1)]) };
}

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

/** reset() goes back to the first numbers, call(n) takes n steps and waits for them, check() gives what is compared. */
export async function serve({ steps, restart }, about, { reset, call, check }) {
  const found = await check();
  await reset();
  await call(Math.min(steps, 3)); // warm
  say({ bench: "ready", about, check: [...found] });
  for await (const line of createInterface({ input: process.stdin })) {
    const ask = JSON.parse(line);
    if ("end" in ask) {
      say({ bench: "end", peakRssMb: (process.resourceUsage().maxRSS * 1024) / 1e6 });
      break;
    }
    const us = [];
    for (const end = performance.now() + ask.ms; us.length < ask.least || performance.now() < end; ) {
      if (restart) await reset();
      const begin = performance.now();
      await call(steps);
      us.push(((performance.now() - begin) * 1000) / steps);
    }
    say({ bench: "times", us });
  }
  process.exit(0); // pools of threads would keep the process
}
