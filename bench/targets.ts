/**
 * What each workload is to reach, and whether it did. Times were asked of another machine, so they are judged twice: as
 * asked, and as the part of the machine's limits that they are there, against the part that this machine gives of its own.
 * Ratios to peers, measured in turns with them, hold everywhere, and what a compiler takes has no limit.
 */
import { askedOf, type Limit, type Parts, partsOf } from "./rates.ts";
import type { PeerRow, Row } from "./table.ts";
import type { Workload } from "./workload.ts";

type Target = {
  /** Median µs per step of one thread. */
  readonly us?: number;
  /** Part of the limit, in percent: of multiply-adds, or of moves. */
  readonly percent?: number;
  /** Times faster than JAX, both step by step and in a scan, or than the faster way of PyTorch. */
  readonly than?: readonly [family: "jax" | "torch", ratio: number];
  /** Times faster with two threads than with one. */
  readonly pair?: number;
  /** Times faster than the same in f32, whose name is without "-BF16". */
  readonly inF32?: number;
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
  "WIDE-512-BF16": { inF32: 1.4 },
  CNN: { us: 4500, than: ["torch", 2.5], pair: 1.7 },
  GPT: { us: 24_000, than: ["torch", 1.75], pair: 1.75, coldMs: 1500 },
  "GPT-M": { percent: 60, pair: 1.75 },
  "ADAMW-25M": { percent: 95 },
  ROSENBROCK: { us: 0.1 },
  "MATMUL-512": { percent: 92 },
  "MATMUL-1024": { percent: 92 },
  "MATMUL-1024-BF16": { inF32: 1.7 },
  "MATMUL-2048": { percent: 88 },
};

const targetOf = (workload: string): Target => targets[workload] ?? (workload.startsWith("MATMUL-") ? shapes : {});

/** Of every workload: ms with the program in the cache, ms from the process's start, and a part of the memory used. */
const all = { cachedMs: 30, startMs: 300, predicted: 0.1 };

/**
 * The limit that comes first on the machine that was asked of. A time that is below what memory takes means caches, and
 * they go with the clock, as multiply-adds do.
 */
export function limitOf(workload: Named): Limit {
  const { us } = targetOf(workload.name);
  const { flops, memory } = partsOf(workload, us ?? 1, askedOf);
  return memory > flops && !(us && memory > 100) ? "memory" : "flops";
}
type Named = Pick<Workload, "name" | "flops" | "bytes">;

/** The parts of its machine's limits that a workload's target is, in percent; nothing where it has none. */
export function partsAsked(workload: Named): Partial<Parts> {
  const { us, percent } = targetOf(workload.name);
  return us ? partsOf(workload, us, askedOf) : percent ? { [limitOf(workload)]: percent } : {};
}

export const limitNames: Readonly<Record<Limit, string>> = { flops: "FMA", memory: "memory" };

export type Judged = { readonly met: boolean; readonly target: string; readonly found: string };
export type Verdict = {
  readonly workload: string;
  readonly threads: number;
  readonly what: string;
  readonly asAsked: Judged;
  /** The same as parts of the machines' limits, where they are what decides. */
  readonly atLimits?: Judged;
};

const atMost = (most: number, found: number, unit: string): Judged => ({
  met: found <= most,
  target: `≤ ${digits(most)} ${unit}`,
  found: `${digits(found)} ${unit}`,
});
const atLeast = (least: number, found: number, unit: string): Judged => ({
  met: found >= least,
  target: `≥ ${digits(least)} ${unit}`,
  found: `${digits(found)} ${unit}`,
});

type Judgement = readonly [what: string, asAsked: Judged, atLimits?: Judged | undefined];

/** Of rows and those of their peers. Two rows are compared where one run measured both; what it did not has no verdict. */
export function verdicts(rows: readonly Row[]): Verdict[] {
  return rows.flatMap((row) => {
    const { workload, threads } = row;
    const beside = rows.filter((other) => other.began === row.began && other.backend === row.backend);
    const with1 = beside.find((other) => other.workload === workload && other.threads === 1);
    const { inF32 } = targetOf(workload);
    const wide = inF32 && beside.find((r) => `${r.workload}-BF16` === workload && r.threads === threads);
    const judged: Judgement[] = [
      ...(threads === 1 ? alone(row) : []),
      ...(threads === 2 && with1 ? pair(row, with1) : []),
      ...(wide ? [["bf16 against f32", atLeast(inF32, wide.medianUsPerStep / row.medianUsPerStep, "×")] as const] : []),
      ...besidePeers(row),
    ];
    return judged.map(([what, asAsked, atLimits]) => ({
      workload,
      threads,
      what,
      asAsked,
      ...(atLimits && { atLimits }),
    }));
  });
}

/** One thread, against what was asked of it. */
function alone({ workload, limit, parts, asked, ...row }: Row): Judgement[] {
  const { us, coldMs } = targetOf(workload);
  const least = asked?.[limit];
  const part = least && parts ? atLeast(least, parts[limit], "%") : undefined;
  const off = 100 * (row.predictedMb / row.peakRssMb - 1);
  const predicted: Judged = {
    met: Math.abs(off) <= 100 * all.predicted,
    target: `± ${100 * all.predicted} %`,
    found: `${off > 0 ? "+" : ""}${digits(off)} %`,
  };
  return [
    ...(us ? [["time of a step", atMost(us, row.medianUsPerStep, "µs"), part] as const] : []),
    ...(!us && part ? [[`part of the limit of ${limitNames[limit]}`, part, part] as const] : []),
    ...(coldMs ? [["compiled, cache empty", atMost(coldMs, row.compileColdMs, "ms")] as const] : []),
    ["compiled, from the cache", atMost(all.cachedMs, row.compileCachedMs, "ms")],
    ["process to first step", atMost(all.startMs, row.startMs, "ms")],
    ["memory as predicted", predicted],
  ];
}

/** Two threads against one: by their times, and by what the machine's limits are with two. */
function pair(two: Row, one: Row): Judgement[] {
  const { pair: asked } = targetOf(two.workload);
  const gain = one.medianUsPerStep / two.medianUsPerStep;
  const possible = two.limits && one.limits ? two.limits[two.limit] / one.limits[two.limit] : 0;
  // Where others have the second processor, its limits are no witness.
  const part = asked && possible > 1.5 ? atLeast((100 * asked) / 2, (100 * gain) / possible, "%") : undefined;
  return [["two threads against one", atLeast(asked ?? 1, gain, "×"), part]];
}

function besidePeers({ workload, threads, peakRssMb, peers = [] }: Row): Judgement[] {
  const { than } = targetOf(workload);
  const out: Judgement[] = [];
  if (than && threads === 1) {
    const [family, least] = than;
    const those = peers.filter((p) => `${p.peer} `.startsWith(`${family} `));
    const named = family === "jax" ? those : [fastest(those)].flatMap((p) => p ?? []);
    for (const { peer, ratio } of named) out.push([`against ${peer}`, atLeast(least, ratio, "×")]);
  }
  const first = fastest(peers);
  if (first) {
    out.push([`fastest peer, ${first.peer}`, atLeast(1, first.ratio, "×")]);
    out.push([`resident set, ${first.peer}`, atMost(first.peakRssMb, peakRssMb, "MB")]);
  }
  return out;
}

export const fastest = (peers: readonly PeerRow[]): PeerRow | undefined =>
  [...peers].sort((a, b) => a.ratio - b.ratio)[0];

const digits = (x: number): string => (Math.abs(x) >= 100 ? `${Math.round(x)}` : `${+x.toPrecision(3)}`);
