/**
 * What each workload is to reach, and whether it did. Times are those of one thread on a processor of 248 GFLOP/s and
 * 60 GB/s a core (Zen 5); parts of this machine's limits and ratios to peers hold everywhere.
 */
import type { PeerRow, Row } from "./table.ts";

type Target = {
  /** Median µs per step of one thread. */
  readonly us?: number;
  /** Part of the limit, in percent: of multiply-adds, or of moves. */
  readonly percent?: number;
  /** Times faster than the fastest of these peers. */
  readonly than?: readonly [peer: "jax" | "torch", ratio: number];
  /** Times faster with two threads than with one. */
  readonly pair?: number;
  /** ms from the step's function to a loaded program, with an empty cache. */
  readonly coldMs?: number;
};

const mlp = { coldMs: 350 };
const shapes: Target = { percent: 85 };

const targets: Readonly<Record<string, Target>> = {
  "SGD-1": { us: 0.15 },
  "MLP-1": { us: 26, ...mlp },
  "MLP-32": { us: 80, than: ["jax", 2], ...mlp },
  "MLP-512": { us: 920, than: ["jax", 1.3], ...mlp },
  "MLP-4096": { us: 7400, than: ["jax", 1.4], pair: 1.75, ...mlp },
  CNN: { us: 4500, than: ["torch", 2.5], pair: 1.7 },
  GPT: { us: 24_000, than: ["torch", 1.75], pair: 1.75, coldMs: 1500 },
  "GPT-M": { percent: 60, pair: 1.75 },
  "ADAMW-25M": { percent: 95 },
  ROSENBROCK: { us: 0.1 },
  "MATMUL-512": { percent: 92 },
  "MATMUL-1024": { percent: 92 },
  "MATMUL-2048": { percent: 88 },
};

/** Of every workload: ms with the program in the cache, ms from the process's start, and a part of the memory used. */
const all = { cachedMs: 30, startMs: 300, predicted: 0.1 };

export type Verdict = {
  readonly workload: string;
  readonly threads: number;
  readonly what: string;
  readonly met: boolean;
  readonly target: string;
  readonly found: string;
};

/** Rows of one run, with those of their peers. What was not measured has no verdict. */
export function verdicts(rows: readonly Row[]): Verdict[] {
  return rows.flatMap((row) => {
    const { workload, threads } = row;
    const target = targets[workload] ?? (workload.startsWith("MATMUL-") ? shapes : {});
    const out: Verdict[] = [];
    const judge = (what: string, met: boolean, wanted: string, found: string) =>
      out.push({ workload, threads, what, met, target: wanted, found });
    const atMost = (what: string, most: number | undefined, found: number, unit: string) => {
      if (most !== undefined) judge(what, found <= most, `≤ ${digits(most)} ${unit}`, `${digits(found)} ${unit}`);
    };
    const atLeast = (what: string, least: number | undefined, found: number | undefined, unit: string) => {
      if (least === undefined || found === undefined) return;
      judge(what, found >= least, `≥ ${digits(least)} ${unit}`, `${digits(found)} ${unit}`);
    };
    if (threads === 1) {
      atMost("time of a step", target.us, row.medianUsPerStep, "µs");
      atLeast("part of the machine's limit", target.percent, row.percentOfLimit, "%");
      atMost("compiled, cache empty", target.coldMs, row.compileColdMs, "ms");
      atMost("compiled, from the cache", all.cachedMs, row.compileCachedMs, "ms");
      atMost("process to first step", all.startMs, row.startMs, "ms");
      const off = Math.abs(row.predictedMb / row.peakRssMb - 1);
      judge("memory as predicted", off <= all.predicted, `± ${100 * all.predicted} %`, `${digits(100 * off)} % off`);
    }
    if (threads === 2) {
      const alone = rows.find((other) => other.workload === workload && other.threads === 1);
      const least = target.pair ?? 1;
      if (alone) atLeast("two threads against one", least, alone.medianUsPerStep / row.medianUsPerStep, "×");
    }
    const full =
      workload.endsWith("-BF16") && rows.find((r) => `${r.workload}-BF16` === workload && r.threads === threads);
    if (full) atLeast("bf16 against f32", 1.4, full.medianUsPerStep / row.medianUsPerStep, "×");
    const { peers = [] } = row;
    const first = fastest(peers);
    if (target.than && threads === 1) {
      const [family, ratio] = target.than;
      const peer = fastest(peers.filter((p) => p.peer.startsWith(family)));
      if (peer) atLeast(`against ${peer.peer}`, ratio, peer.medianUsPerStep / row.medianUsPerStep, "×");
    }
    if (first) {
      atLeast(`against the fastest, ${first.peer}`, 1, first.medianUsPerStep / row.medianUsPerStep, "×");
      atMost(`resident, ${first.peer} being fastest`, first.peakRssMb, row.peakRssMb, "MB");
    }
    return out;
  });
}

export const fastest = (peers: readonly PeerRow[]): PeerRow | undefined =>
  [...peers].sort((a, b) => a.medianUsPerStep - b.medianUsPerStep)[0];

const digits = (x: number): string => (x >= 100 ? `${Math.round(x)}` : `${+x.toPrecision(3)}`);
