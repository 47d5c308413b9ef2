/** What a backend is: memory it can reach, and programs made executable. */
import type { Outline } from "../compile/identity.ts";
import type { Program } from "../compile/program.ts";
import type { Value } from "../ir/value.ts";

export type BackendName = "native" | "js";

/** Bytes that both the host and the backend see. */
export interface Memory {
  readonly buffer: ArrayBuffer;
  readonly bytes: number;
  /** Copies numbers to byte `at` and on, as their arrays hold them. */
  write(at: number, numbers: Value["data"]): void;
  /** How many of its bytes take memory: what was never touched does not. Missing where nobody knows. */
  readonly residentBytes?: number;
}

/** Where a program finds what it does not own. Feeds and outputs hold one slice per step. */
export type Places = {
  readonly state: Memory;
  /** Where it computes: at least `bytes` of its executable, with anything in them. */
  readonly workspace: Memory;
  readonly resident: readonly Memory[];
  readonly feeds: readonly Memory[];
  readonly outputs: readonly Memory[];
};

export interface Executable {
  /** Printed source: C or JavaScript. */
  readonly source: string;
  /** How long it took to make, and whether a cache had it. */
  readonly compileMs: number;
  readonly cached: boolean;
  /** What it needs of a workspace: temporaries, and scratch memory for all threads that it may use. */
  readonly bytes: number;
  /**
   * Take up to `steps` steps. → how many were taken: fewer where the watched output was not finite, or `stop` was asked.
   * Long calls leave the event loop free where the backend can.
   */
  run(places: Places, steps: number): number | Promise<number>;
  /** End the running call after the current step. */
  stop(): void;
  /** Of a program with clocks: where the time of each thread went since it was asked last. */
  spent?(): readonly Spent[];
}

/** Where a thread's time went, in parts of the time that the first thread has run. */
export type Spent = {
  readonly kernels: readonly number[];
  /** At the barrier before each band, 0 where there is none, and at the one that ends a step. */
  readonly waits: readonly number[];
  /** Packing matrices when a step begins. */
  readonly packing: number;
};

/** A program that need not be made where its backend knows what it became. */
export type Known = {
  /** All that decides which program it is. */
  readonly name: string;
  readonly program: () => Program;
  /** What a caller has to know of it; kept with it. */
  readonly outline: () => Outline;
};

export interface Load {
  /**
   * `threads` is how many it may use; unless given, as many as there are processors for this process, and 1 where the
   * backend has no threads. How many it does use changes no bit of what it computes.
   */
  (program: Program, threads?: number): Executable;
  /** The same by name. Missing where nothing is kept; a property of `load`, so that who replaces one replaces both. */
  readonly recall?: (known: Known, threads?: number) => { readonly executable: Executable; readonly outline: Outline };
}

/** What a machine can do at most, measured: nothing that a program does can be faster. */
export type Limits = {
  /** How many threads did it together. */
  readonly threads: number;
  /** Floating-point operations of f32 per second, a multiply-add being two. */
  readonly flops: number;
  /** Bytes read and written per second, from memory and from the nearest cache that holds half a megabyte. */
  readonly memory: number;
  readonly cache: number;
};

/** Holds 400 MB until it is freed. */
export interface Limiter {
  /** The limits as they are now, in about 40 ms: those of a machine that is shared come and go. */
  sample(): Limits;
  free(): void;
}

export interface Backend {
  readonly name: BackendName;
  /** One line about it: compiler, CPU. */
  readonly about: string;
  /** Whether its programs walk bands of kernels in blocks, for the sake of caches and threads. */
  readonly banded: boolean;
  /** Zeroed. */
  allocate(bytes: number): Memory;
  /** How many numbers at the front of `data` are known to be indices below n. Missing where JavaScript has to look. */
  indices?(data: Value["data"], n: number): number;
  /** How much memory this process takes now. Missing where nobody knows. */
  residentBytes?(): number;
  readonly load: Load;
  /**
   * The same with a clock beside each kernel, for a profile: always on so many threads, 1 unless given or where there is
   * nothing to share. Missing where there is no such clock.
   */
  clocked?(program: Program, threads?: number): Executable;
  /** The machine's limits, measured now: about half a second and 400 MB. Missing where only an interpreter knows. */
  limits?(threads?: number): Limits;
  /** To measure them again and again. */
  limiter?(threads?: number): Limiter;
}
