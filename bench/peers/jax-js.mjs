/** The workloads in jax-js, on WebAssembly: one jitted step, update rules written out: node jax-js.mjs FOLDER THREADS */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { blockUntilReady, init, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import { given, matmul, serve, slice, training } from "./protocol.mjs";

const [folder, threads] = process.argv.slice(2);
await init("wasm");
const { workload, params, data, feeds, ...counts } = given(folder);
const array = ({ shape, data, dtype }) => np.array(data, { shape, dtype: dtype === "i32" ? np.int32 : np.float32 });
const arrays = (tree) => Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, array(value)]));

// A function owns its arguments: what is used again is passed by `.ref`.
const linear = (x, p, name) => np.matmul(x, p[`${name}weight`].transpose()).add(p[`${name}bias`]);

const dense =
  (...layers) =>
  (p, { rows }, { x, labels }) => {
    let y = np.take(x, rows.ref, 0);
    for (const k of layers) {
      y = linear(y, p, `layers.${k}.`);
      if (k !== layers.at(-1)) y = nn.relu(y);
    }
    const hot = nn.oneHot(np.take(labels, rows, 0), 10);
    return nn.logSoftmax(y, -1).mul(hot).sum(-1).mean().mul(-1);
  };

const losses = {
  "SGD-1"(p, { rows }, { x, y }) {
    const z = linear(np.take(x, rows.ref, 0), p, "");
    return nn
      .softplus(z.ref)
      .sub(z.mul(np.take(y, rows, 0)))
      .mean();
  },
  "WIDE-512": dense(0, 2, 4),
  ROSENBROCK({ x, y }, { step }) {
    step.dispose();
    const parabola = y.sub(np.square(x.ref));
    return np.square(np.array(1).sub(x)).add(np.square(parabola).mul(100));
  },
};

const sgd = (p, g, opt) => [map((p, g) => p.sub(g.mul(0.01)), p, g), opt];

function adam(p, g, { m, v }, step) {
  const mean = map((m, g) => m.mul(0.9).add(g.mul(0.1)), m, refs(g));
  const square = map((v, g) => v.mul(0.999).add(np.square(g).mul(0.001)), v, g);
  const [a, b] = [0.9, 0.999].map((beta) => np.array(1).sub(np.exp(step.ref.mul(Math.log(beta)))));
  step.dispose();
  const next = map(
    (p, m, v) =>
      p.sub(
        m
          .div(a.ref)
          .div(np.sqrt(v.div(b.ref)).add(1e-8))
          .mul(1e-3),
      ),
    p,
    refs(mean),
    refs(square),
  );
  a.dispose();
  b.dispose();
  return [next, { m: mean, v: square }];
}

const map = (f, first, ...others) =>
  Object.fromEntries(Object.keys(first).map((k) => [k, f(first[k], ...others.map((o) => o[k]))]));
const refs = (t) => tree.ref(t);

function trained() {
  const lossOf = losses[workload] ?? dense(0, 2);
  const resident = arrays(data);
  const step = jit((p, opt, feed, at) => {
    const count = feed.step.ref;
    const inputs = workload === "ROSENBROCK" ? feed : { rows: feed.rows };
    if (workload !== "ROSENBROCK") feed.step.dispose();
    const [loss, g] = valueAndGrad((p) => lossOf(p, inputs, at))(refs(p));
    if (workload === "SGD-1") {
      count.dispose();
      return [loss, ...sgd(p, g, opt)];
    }
    return [loss, ...adam(p, g, opt, count)];
  });
  const slices = Array.from({ length: Math.max(counts.steps, counts.checked) }, (_, s) =>
    arrays(map((feed) => slice(feed, s), feeds)),
  );
  let state;
  const reset = () => {
    if (state) for (const t of state) tree.dispose(t);
    const p = arrays(params);
    const zeros = () => map((t) => np.zerosLike(t.ref), p);
    state = [p, workload === "SGD-1" ? {} : { m: zeros(), v: zeros() }];
  };
  return training(counts, {
    reset,
    step(s) {
      const [loss, ...next] = step(...state, refs(slices[s]), refs(resident));
      state = next;
      return { data: () => loss.ref.data(), dispose: () => loss.dispose() };
    },
    settled: () => blockUntilReady(refs(state[0])),
  });
}

function product() {
  const { a, b } = arrays(data);
  const product = jit((a, b) => np.matmul(a, b));
  return matmul(async () => {
    const c = product(a.ref, b.ref);
    await blockUntilReady(c.ref);
    return { data: () => c.ref.data(), dispose: () => c.dispose() };
  });
}

const about = new URL("./node_modules/@jax-js/jax/package.json", import.meta.url);
const { version } = JSON.parse(readFileSync(fileURLToPath(about), "utf8"));
const form = workload.startsWith("MATMUL") ? product() : trained();
await serve(counts, `jax-js ${version}, WebAssembly, ${threads} threads`, form);
