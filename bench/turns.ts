/**
 * Ours, the peers and the machine's limits, compared in what they compute and measured in turns: a machine that is shared
 * is another one a minute later, so a ratio is taken within each turn, and the median of the turns' ratios counts.
 */
import type { Limits } from "downhill";
import type { Cold, End, Times, Warm } from "./measure.ts";
import type { Options } from "./options.ts";
import type { Peer } from "./peers.ts";
import { type Ceilings, started } from "./processes.ts";
import { Interrupted, Worker } from "./protocol.ts";
import { middle, partsOf } from "./rates.ts";
import type { PeerRow, Row } from "./table.ts";
import { limitOf, partsAsked } from "./targets.ts";
import type { Workload } from "./workload.ts";

/** What ours took in a turn, and what the machine's limits were in it. */
type Turn = { readonly us: number; readonly limits?: Limits };
type Found = {
  readonly ours: Warm & Times & End;
  readonly turns: readonly Turn[];
  readonly peers: readonly PeerRow[];
};
type Comparison = {
  readonly ceilings: Ceilings | undefined;
  readonly compared: readonly Peer[];
  readonly numbers: string;
  readonly check: readonly number[];
  readonly say: (line: string) => void;
};

/** Odd, so that there is a turn in the middle. */
const turnsOf = ({ quick }: Options) => (quick ? 3 : 7);
/** ms of one of them: less with peers, of which there are up to seven. */
const lengthOf = ({ quick, peers }: Options) => (quick ? 130 : peers ? 300 : 500);
/** A peer whose turn takes longer than so many ms, for a call of its own is so long, has so many turns alone. */
const longest = 3000;
const fewest = 3;

/** All are ready at the same time, and then take turns. */
export async function rounds(
  workload: Workload,
  threads: number,
  options: Options,
  folder: string,
  comparison: Comparison,
): Promise<Found> {
  const workers: Worker[] = [];
  try {
    const { worker: ours, ready } = await started(workload, threads, options, folder);
    workers.push(ours);
    const others = await joined(workload, threads, comparison, workers);
    const us: number[] = [];
    const turns: Turn[] = [];
    for (let turn = 0; turn < turnsOf(options); turn++) {
      const limits = await comparison.ceilings?.sample();
      const mine = await taken(ours, options);
      us.push(...mine);
      turns.push({ us: middle(mine), ...(limits && { limits }) });
      for (const other of others) {
        if (turn >= fewest && other.ms > longest) continue;
        const begin = performance.now();
        const theirs = await taken(other.worker, options);
        other.ms = performance.now() - begin;
        other.us.push(...theirs);
        other.ratios.push(middle(theirs) / middle(mine));
      }
    }
    const end = await ours.ask<End>({ end: true });
    const rows: PeerRow[] = [];
    for (const { peer, worker, about, apart, us, ratios } of others) {
      const { peakRssMb } = await worker.ask<End>({ end: true });
      const ratio = round(middle(ratios));
      rows.push({ peer: peer.name, about, ...times(us), ratio, peakRssMb: round(peakRssMb), apart: round(apart) });
    }
    return { ours: { ...ready, ...end, us }, turns, peers: rows };
  } finally {
    for (const worker of workers) worker.kill();
  }
}

/** A turn's calls. The first one warms up what the others' turns have cooled down. */
async function taken(worker: Worker, options: Options): Promise<readonly number[]> {
  const { us } = await worker.ask<Times>({ ms: lengthOf(options), least: 1 });
  return us.length > 1 ? us.slice(1) : us;
}

/** A peer that takes part, and what its calls have taken. */
type Other = {
  readonly peer: Peer;
  readonly worker: Worker;
  readonly about: string;
  readonly apart: number;
  readonly us: number[];
  readonly ratios: number[];
  /** Its last turn's. */
  ms: number;
};

/** The peers that compute what ours computes, ready; whatever was started is among the workers. */
async function joined(
  { name, checked }: Workload,
  threads: number,
  { compared, numbers, check, say }: Comparison,
  workers: Worker[],
): Promise<Other[]> {
  const others: Other[] = [];
  for (const peer of compared) {
    const worker = new Worker(`${peer.name}, ${name}`, peer.command(numbers, threads), peer.env(threads));
    workers.push(worker);
    try {
      const { about, check: theirs } = await worker.answer<{ about: string; check: number[] }>();
      const apart = differ(check, theirs);
      if (apart <= checked.within) others.push({ peer, worker, about, apart, us: [], ratios: [], ms: 0 });
      else {
        say(`  ${peer.name} computes something else: ${theirs.slice(0, 4)} …, ours ${check.slice(0, 4)} …`);
        worker.kill();
      }
    } catch (problem) {
      if (problem instanceof Interrupted) throw problem;
      say(`  ${(problem as Error).message.split("\n").at(-1)} (${peer.name})`);
    }
  }
  return others;
}

/** The largest |a − b| / max(1, |a|) of the two lists; infinite where one is longer. */
function differ(ours: readonly number[], theirs: readonly number[]): number {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY;
  return Math.max(...ours.map((a, k) => Math.abs(a - theirs[k]!) / Math.max(1, Math.abs(a))));
}

const round = (x: number, digits = 4): number => +x.toPrecision(digits);

const times = (us: readonly number[]) => ({
  medianUsPerStep: round(middle(us)),
  minUsPerStep: round(Math.min(...us)),
  repetitions: us.length,
});

export function rowFrom(
  workload: Workload,
  threads: number,
  when: Pick<Row, "load" | "began">,
  before: Cold,
  { ours, turns, peers }: Found,
): Row {
  const { name, flops, bytes } = workload;
  const seconds = middle(ours.us) * 1e-6;
  const limit = limitOf(workload);
  const beside = turns.flatMap(({ us, limits }) => (limits ? [{ limits, parts: partsOf(workload, us, limits) }] : []));
  const of = (pick: (turn: (typeof beside)[number]) => number, digits = 3) => round(middle(beside.map(pick)), digits);
  const { flops: ofFlops, memory: ofMemory } = threads === 1 ? partsAsked(workload) : {};
  return {
    workload: name,
    backend: ours.backend,
    threads,
    ...times(ours.us),
    flops,
    bytes,
    gflops: round(flops / seconds / 1e9, 3),
    gbPerSecond: round(bytes / seconds / 1e9, 3),
    limit,
    ...(beside.length > 0 && {
      limits: { flops: of((t) => t.limits.flops, 4), memory: of((t) => t.limits.memory, 4) },
      parts: { flops: of((t) => t.parts.flops), memory: of((t) => t.parts.memory) },
    }),
    ...((ofFlops || ofMemory) && {
      asked: { ...(ofFlops && { flops: round(ofFlops, 3) }), ...(ofMemory && { memory: round(ofMemory, 3) }) },
    }),
    compileColdMs: round(before.compileMs),
    compileCachedMs: round(ours.compileMs),
    startMs: round(ours.startMs),
    peakRssMb: round(ours.peakRssMb),
    predictedMb: round(ours.predictedMb),
    usedMb: round(ours.usedMb),
    ...when,
    ...(peers.length > 0 && { peers }),
  };
}
