/** A compiled program that is called: where its memory is, how many steps come next, and on how many threads. */
import { align } from "../../compile/memory.ts";
import type { Program } from "../../compile/program.ts";
import { type DType, dtypes } from "../../ir/dtype.ts";
import type { Shape } from "../../ir/shape.ts";
import { bytesOf, type Value } from "../../ir/value.ts";
import { clockSlots } from "../../print/c/clock.ts";
import type { Executable, Memory, Places, Spent } from "../backend.ts";
import { loadBinding } from "./binding.ts";
import { NativeBlock } from "./memory.ts";
import { team } from "./team.ts";
import type { Threads } from "./threads.ts";

/** Calls expected to take longer than this leave the main thread. */
const LONG_CALL = 4; // ms

export class NativeMemory implements Memory {
  readonly block: NativeBlock;
  constructor(bytes: number) {
    this.block = new NativeBlock(bytes);
  }
  get buffer(): ArrayBuffer {
    return this.block.view();
  }
  get bytes(): number {
    return this.block.bytes;
  }
  write(at: number, numbers: Value["data"]): void {
    this.block.write(at, numbers);
  }
  get residentBytes(): number {
    return this.block.residentBytes;
  }
}

type Slice = { readonly dtype: DType; readonly shape: Shape };

/** All that a call needs to know of a program beside its object. It is kept on disk: plain data. */
export type Signature = {
  /** How many resident tensors there are. */
  readonly resident: number;
  readonly feeds: readonly Slice[];
  readonly outputs: readonly Slice[];
  /** Position of an output that ends the loop where it is not finite. */
  readonly watch?: number;
  readonly temporaryBytes: number;
  /** Of each thread. */
  readonly scratchBytes: number;
  /** Whether there is work for more than one thread. */
  readonly shared: boolean;
};

/** What of an executable does not depend on how its object came about. */
type Callable = Pick<Executable, "bytes" | "run" | "stop" | "spent">;

/**
 * The object at `path`, opened. `decide` chooses how many of at most `most` threads are used; `clocks` is the program, if
 * it has clocks.
 */
export function opened(
  path: string,
  signature: Signature,
  most: number,
  decide: (most: number) => Threads,
  clocks?: Program,
): Callable {
  const binding = loadBinding();
  const object = binding.open(path);
  const run = binding.sym(object, "dh_run");
  const { resident, feeds, outputs, watch, temporaryBytes, scratchBytes, shared } = signature;
  const threads = shared ? most : 1;
  const choice = decide(threads);
  const behind = align(temporaryBytes); // where scratch memory begins
  const pointers = 4 + resident + feeds.length + outputs.length;
  // One block for what a call is told: [pointers][steps to take, steps taken, threads wanted][stop].
  const told = new NativeBlock(8 * pointers + 32);
  const table = new BigUint64Array(told.view(0, 8 * pointers));
  const steps = new Float64Array(told.view(8 * pointers, 24));
  const stop = new Int32Array(told.view(8 * pointers + 24, 8));
  const at = told.address;
  const call = [run, at, at + 8 * pointers, at + 8 * pointers + 24] as const;

  let last: Places | undefined;
  let from = 0; // the step of the call that the table points to
  /** Point the table to where step `step` of a call finds its memory: feeds and outputs hold one slice per step. */
  const aim = (places: Places, step: number) => {
    if (places === last && step === from) return;
    const address = (m: Memory) => (m as NativeMemory).block.address;
    const slices = (memories: readonly Memory[], of: typeof feeds) =>
      memories.map((m, k) => address(m) + step * bytesOf(of[k]!));
    const lists = [...places.resident.map(address), ...slices(places.feeds, feeds), ...slices(places.outputs, outputs)];
    table[0] = BigInt(address(places.state));
    table[1] = BigInt(address(places.workspace));
    table[2] = BigInt(address(places.workspace) + behind);
    table.set(lists.map(BigInt), 4);
    last = places;
    from = step;
  };
  /** Whether the loop has ended itself: the program says how many steps it took, not why they were the last. */
  const broken = (places: Places, step: number) => {
    if (watch === undefined) return false;
    const w = outputs[watch]!;
    return !Number.isFinite(new dtypes[w.dtype].array(places.outputs[watch]!.buffer, step * bytesOf(w), 1)[0]);
  };

  return {
    bytes: behind + scratchBytes * threads,
    run(places: Places, n: number) {
      let done = 0;
      stop[0] = 0;
      /** Tell the program its next steps. Called after them, the result says whether there are more to take. */
      const begin = () => {
        const share = choice.next(n - done);
        if (share.threads > 1) table[3] ||= BigInt(team(threads).run);
        aim(places, done);
        steps[0] = share.steps;
        steps[2] = share.threads;
        const began = performance.now();
        return () => {
          const taken = steps[1]!;
          choice.took({ ...share, steps: taken }, (performance.now() - began) * 1000);
          done += taken;
          return taken === share.steps && done < n && !broken(places, done - 1);
        };
      };
      if (n === 1 || choice.expected(n) < LONG_CALL * 1000) {
        for (let more = true; more; ) {
          const end = begin();
          binding.call(...call);
          more = end();
        }
        return done;
      }
      const walk = async () => {
        for (let more = true; more; ) {
          const end = begin();
          await binding.callAsync(...call);
          more = end();
        }
        return done;
      };
      const memories = Object.values(places).flat();
      const blocks = [told, ...memories.map((m) => (m as NativeMemory).block)];
      return blocks.reduce((running, block) => block.during(running), walk());
    },
    stop: () => {
      stop[0] = 1;
    },
    ...(clocks && { spent: () => spent(object, clocks, most).slice(0, threads) }),
  };
}

/** The ticks that the clocks of a program have counted, in parts of the first thread's. */
function spent(object: number, program: Program, threads: number): Spent[] {
  const binding = loadBinding();
  const { waits, end, packing, count } = clockSlots(program);
  const out = new NativeBlock(8 * count * threads);
  binding.call(binding.sym(object, "dh_laps"), out.address, 0, 0);
  const ticks = [...new Float64Array(out.view())];
  out.free();
  const all = ticks.slice(0, count).reduce((a, b) => a + b, 0) || 1;
  return Array.from({ length: threads }, (_, id) => {
    const parts = ticks.slice(id * count, (id + 1) * count).map((t) => t / all);
    return { kernels: parts.slice(0, waits), waits: parts.slice(waits, end + 1), packing: parts[packing]! };
  });
}
