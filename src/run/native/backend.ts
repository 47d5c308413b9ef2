/** The native backend: programs printed as C, compiled by the system's compiler, called in this process. */
import type { Program } from "../../compile/program.ts";
import { printC } from "../../print/c.ts";
import type { Backend, Executable, Memory, Places } from "../backend.ts";
import { loadBinding } from "./binding.ts";
import { compileToObject } from "./cache.ts";
import { type Compiler, processor } from "./compiler.ts";
import { measureLimits } from "./limits.ts";
import { NativeBlock } from "./memory.ts";
import { team } from "./team.ts";

/** Calls expected to take longer than this leave the main thread. */
const LONG_CALL = 4; // ms

class NativeMemory implements Memory {
  readonly block: NativeBlock;
  constructor(bytes: number) {
    this.block = new NativeBlock(bytes);
  }
  get buffer(): ArrayBuffer {
    return this.block.view();
  }
}

export function nativeBackend(compiler: Compiler): Backend {
  return {
    name: "native",
    about: `${compiler.version}, ${compiler.simd}, ${processor().model}`,
    banded: true,
    allocate: (bytes) => new NativeMemory(bytes),
    load: (program) => load(program, compiler.lanes),
    limits: (threads) => measureLimits(compiler, threads),
  };
}

const threadsAsked = () => Number(process.env.DOWNHILL_THREADS ?? 1);

function load(program: Program, lanes: number): Executable {
  const start = performance.now();
  const { units, scratchBytes, shared } = printC(program, lanes);
  const { path, cached } = compileToObject(units);
  const binding = loadBinding();
  const run = binding.sym(binding.open(path), "dh_run");
  const arena = new NativeBlock(program.temporaryBytes);
  const members = shared ? team(threadsAsked()) : { run: 0, threads: 1 };
  const scratch = new NativeBlock(scratchBytes * members.threads);
  const pointers = 4 + program.resident.length + program.feeds.length + program.outputs.length;
  // One block for what a call is told: [pointers][steps to take, steps taken, threads wanted][stop].
  const told = new NativeBlock(8 * pointers + 32);
  const table = new BigUint64Array(told.view(0, 8 * pointers));
  const steps = new Float64Array(told.view(8 * pointers, 24));
  const stop = new Int32Array(told.view(8 * pointers + 24, 8));
  let usPerStep = Infinity;
  let last: Places | undefined;

  const address = (m: Memory) => BigInt((m as NativeMemory).block.address);
  const taken = (begin: number, n: number) => {
    usPerStep = ((performance.now() - begin) * 1000) / n;
    return steps[1]!;
  };
  return {
    source: units.map((u) => u.text).join("\n"),
    compileMs: performance.now() - start,
    cached,
    run(places: Places, n: number) {
      if (places !== last) {
        const { state, resident, feeds, outputs } = places;
        const given = [state, ...resident, ...feeds, ...outputs].map(address);
        table.set([given[0]!, BigInt(arena.address), BigInt(scratch.address), BigInt(members.run), ...given.slice(1)]);
        last = places;
      }
      steps[0] = n;
      steps[2] = members.threads;
      stop[0] = 0;
      const begin = performance.now();
      const at = told.address;
      if (n === 1 || usPerStep * n < LONG_CALL * 1000) {
        binding.call(run, at, at + 8 * pointers, at + 8 * pointers + 24);
        return taken(begin, n);
      }
      const blocks = [
        told,
        arena,
        scratch,
        ...Object.values(places)
          .flat()
          .map((m) => (m as NativeMemory).block),
      ];
      const call = binding.callAsync(run, at, at + 8 * pointers, at + 8 * pointers + 24).then(() => taken(begin, n));
      return blocks.reduce((running, block) => block.during(running), call);
    },
    stop: () => {
      stop[0] = 1;
    },
  };
}
