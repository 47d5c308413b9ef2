/** The libraries that ours is compared with, each a script of bench/peers that speaks our protocol. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export type Peer = {
  readonly name: string;
  readonly takes: (workload: string) => boolean;
  readonly command: (numbers: string, threads: number) => [string, ...string[]];
  readonly env: (threads: number) => NodeJS.ProcessEnv;
};

const at = (path: string): string => fileURLToPath(new URL(`../bench/peers/${path}`, import.meta.url));

type Kind = {
  readonly name: string;
  /** The script, and which of its ways. */
  readonly script: string;
  readonly way: string;
  /** What must be installed: a module of Python, or a package of npm. */
  readonly needs: string;
  readonly workloads: RegExp;
};

const everything = /^(?!.*BF16)/; // ours in bf16 is compared with ours in f32
const kinds: readonly Kind[] = [
  { name: "torch", script: "torch_peer.py", way: "eager", needs: "torch", workloads: everything },
  { name: "torch compiled", script: "torch_peer.py", way: "compiled", needs: "torch", workloads: /^(?!MATMUL|.*BF16)/ },
  { name: "jax jit", script: "jax_peer.py", way: "step", needs: "jax", workloads: everything },
  { name: "jax scan", script: "jax_peer.py", way: "scan", needs: "jax", workloads: /^(?!MATMUL|ADAMW|.*BF16)/ },
  { name: "scikit-learn", script: "sklearn_peer.py", way: "", needs: "sklearn", workloads: /^SGD-1$/ },
  {
    name: "TensorFlow.js",
    script: "tfjs.mjs",
    way: "wasm",
    needs: "@tensorflow/tfjs",
    workloads: /^(SGD|MLP|WIDE-512$|ROSENBROCK|MATMUL-\d+$)/,
  },
  {
    name: "jax-js",
    script: "jax-js.mjs",
    way: "",
    needs: "@jax-js/jax",
    workloads: /^(SGD|MLP|WIDE-512$|ROSENBROCK|MATMUL-\d+$)/,
  },
];

/** Those that are installed here, and a line about each that is not. */
export function installed(): { readonly peers: readonly Peer[]; readonly missing: readonly string[] } {
  const python = process.env.DOWNHILL_PEERS_PYTHON ?? firstOf(at(".venv/bin/python")) ?? "python3";
  const modules = kinds.filter((kind) => kind.script.endsWith(".py")).map((kind) => kind.needs);
  const question = `import importlib.util as u; print(*[m for m in ${JSON.stringify(modules)} if u.find_spec(m)])`;
  const found = spawnSync(python, ["-c", question], { encoding: "utf8" }).stdout?.trim().split(" ") ?? [];
  const has = ({ script, needs }: Kind) =>
    script.endsWith(".py") ? found.includes(needs) : existsSync(at(`node_modules/${needs}`));
  const where = ({ script }: Kind) => (script.endsWith(".py") ? `for ${python}` : "in bench/peers");
  return {
    peers: kinds.filter(has).map((kind) => peerOf(kind, python)),
    missing: kinds
      .filter((kind) => !has(kind))
      .map((kind) => `${kind.name}: ${kind.needs} is not installed ${where(kind)}; see bench/peers/README.md`),
  };
}

const firstOf = (...paths: readonly string[]): string | undefined => paths.find((path) => existsSync(path));

function peerOf({ name, script, way, workloads }: Kind, python: string): Peer {
  const program = script.endsWith(".py") ? python : process.execPath;
  return {
    name,
    takes: (workload) => workloads.test(workload),
    command: (numbers, threads) => [program, at(script), numbers, `${threads}`, way],
    // Kernels and sizes that somebody has set for OpenBLAS would measure that setting.
    env: (threads) => ({
      ...without(process.env, ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]),
      OMP_NUM_THREADS: `${threads}`,
      OPENBLAS_NUM_THREADS: `${threads}`,
      MKL_NUM_THREADS: `${threads}`,
      OMP_WAIT_POLICY: "passive", // else a peer's threads would spin while it is ours to be measured
    }),
  };
}

const without = (env: NodeJS.ProcessEnv, names: readonly string[]): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));
