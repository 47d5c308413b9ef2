/** The workloads in TensorFlow.js, on its WebAssembly backend with SIMD: node tfjs.mjs FOLDER THREADS */
import { createRequire } from "node:module";
import { dirname } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { setThreadsCount, setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { given, matmul, serve, slice, training } from "./protocol.mjs";

const [folder, threads] = process.argv.slice(2);
const wasm = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm");
setWasmPaths(`${dirname(wasm)}/`);
setThreadsCount(Number(threads));
await tf.setBackend("wasm");
await tf.ready();

const { workload, params, data, feeds, ...counts } = given(folder);
const tensor = ({ shape, data, dtype }) => tf.tensor(data, shape, dtype === "i32" ? "int32" : "float32");
const tensors = (tree) => Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, tensor(value)]));

const at = tensors(data);
const variables = Object.fromEntries(Object.entries(tensors(params)).map(([name, t]) => [name, tf.variable(t)]));
const steps = Array.from({ length: Math.max(counts.steps, counts.checked) }, (_, s) =>
  tensors(Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, slice(feed, s)]))),
);

const linear = (x, name) => tf.add(tf.matMul(x, variables[`${name}weight`], false, true), variables[`${name}bias`]);

const dense =
  (...layers) =>
  ({ rows }) => {
    let x = tf.gather(at.x, rows);
    for (const k of layers) {
      x = linear(x, `layers.${k}.`);
      if (k !== layers.at(-1)) x = tf.relu(x);
    }
    return tf.losses.softmaxCrossEntropy(tf.oneHot(tf.gather(at.labels, rows), 10), x);
  };

const losses = {
  "SGD-1": ({ rows }) => tf.losses.sigmoidCrossEntropy(tf.gather(at.y, rows), linear(tf.gather(at.x, rows), "")),
  "WIDE-512": dense(0, 2, 4),
  ROSENBROCK() {
    const { x, y } = variables;
    return tf.add(tf.square(tf.sub(1, x)), tf.mul(100, tf.square(tf.sub(y, tf.square(x)))));
  },
};

function trained() {
  const lossOf = losses[workload] ?? dense(0, 2);
  let rule;
  const reset = () => {
    rule?.dispose();
    rule = workload === "SGD-1" ? tf.train.sgd(0.01) : tf.train.adam(1e-3, 0.9, 0.999, 1e-8);
    for (const [name, value] of Object.entries(tensors(params))) {
      variables[name].assign(value);
      value.dispose();
    }
  };
  return training(counts, { reset, step: (s) => tf.tidy(() => rule.minimize(() => lossOf(steps[s]), true)) });
}

const form = workload.startsWith("MATMUL") ? matmul(() => tf.matMul(at.a, at.b)) : trained();
await serve(counts, `TensorFlow.js ${tf.version.tfjs}, WebAssembly, ${threads} threads`, form);
