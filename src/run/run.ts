/**
 * A Run owns state (parameters, optimizer state, running statistics) and steps that change it, which are its loops. Nobody
 * outside holds a buffer, so there is nothing to dispose.
 */
import { align } from "../compile/memory.ts";
import type { DType } from "../ir/dtype.ts";
import { fail } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import { type Shape, sameShape, size } from "../ir/shape.ts";
import { asOne, input, type Tensor } from "../ir/tensor.ts";
import { bytesOf, Value } from "../ir/value.ts";
import * as tree from "../tree.ts";
import type { Backend, BackendName, Executable, Memory } from "./backend.ts";
import { copyIn, copyOut } from "./copy.ts";
import { checkPrecision, Loop, type LoopOptions, type Step, type Traced } from "./loop.ts";
import { selectBackend } from "./select.ts";
import { checkThreads } from "./threads.ts";

/** Where programs run. */
export type RunOptions = {
  readonly backend?: BackendName | "auto" | Backend | undefined;
  /**
   * The most threads they may use, 1 to 256; unless given, $DOWNHILL_THREADS or one for each processor. They use them
   * where that is measured to be faster, and the results are the same bits. JavaScript has one thread.
   */
  readonly threads?: number | undefined;
};

export class Run<S> {
  readonly backend: Backend;
  /** @internal The most that a program may use, where that was said. */
  readonly threads: number | undefined;
  /** The state's tree, with the numbers of slots for Values. */
  private readonly skeleton: { readonly [K in keyof S]: unknown };
  private readonly slots: readonly Slot[];
  private readonly held: Memory;
  /** One for all programs, as one call runs at a time. */
  private space: Memory;
  private running: Executable | undefined;
  /** Not held: a loop that nobody has any more gives its memory back. any: of whatever feeds. */
  private loops: WeakRef<Loop<S, any, any, any>>[] = [];
  private last: Promise<unknown> = Promise.resolve();

  private constructor(backend: Backend, threads: number | undefined, state: S) {
    this.backend = backend;
    this.threads = threads;
    let at = 0;
    let slot = 0;
    this.skeleton = tree.map(() => slot++, state); // its Values would be there twice
    this.slots = tree.paths<Value>(state).map(([path, v]) => {
      if (!(v instanceof Value)) fail(`run: the state at ${path || "the top"} is not a Value`);
      const slot = { path, dtype: v.dtype, shape: v.shape, at };
      at += align(bytesOf(v));
      return slot;
    });
    this.held = backend.allocate(at);
    this.space = backend.allocate(0);
    this.fill(state, true);
  }

  /** A run on the fastest backend that works here, or on the one named, with a copy of `state`. */
  static async start<S>(state: S, options: RunOptions = {}): Promise<Run<S>> {
    checkOptions("Run.start", options, ["backend", "threads"]);
    const { backend = "auto", threads } = options;
    if (threads !== undefined) checkThreads("threads", threads);
    const own = typeof backend === "object" && typeof backend?.allocate === "function";
    return new Run(own ? backend : (await selectBackend(backend as BackendName)).backend, threads, state);
  }

  /** A copy of the state. */
  state(): S {
    return this.copied(this.skeleton);
  }

  /** A copy of one part of it, such as the parameters without what an optimizer remembers. */
  part<K extends keyof S & string>(name: K): S[K] {
    if (!Object.hasOwn(this.skeleton, name)) fail(`run: the state has no part ${name}`);
    return this.copied(this.skeleton[name]);
  }

  // any: the tree of the slots' Values.
  private copied(slots: unknown): any {
    this.idle();
    const copy = ({ dtype, shape, at }: Slot) => new Value(dtype, shape, copyOut(this.held, dtype, size(shape), at));
    return tree.map((k: number) => copy(this.slots[k]!), slots);
  }

  /** Overwrite the state. Throws, and changes nothing, where a shape, a dtype or a path differs. */
  load(state: S): void {
    this.idle();
    this.fill(state, false);
  }

  private fill(state: S, fresh: boolean): void {
    const values = new Map(tree.paths<Value>(state));
    for (const s of this.slots) {
      const v = values.get(s.path);
      if (!(v instanceof Value)) fail(`run: the new state has nothing at ${s.path}`);
      if (v.dtype !== s.dtype || !sameShape(v.shape, s.shape))
        fail(`run: ${s.path} is ${s.dtype}[${s.shape}], the new state has ${v}`);
    }
    if (values.size > this.slots.length) {
      const known = new Set(this.slots.map((s) => s.path));
      fail(`run: the new state has an unknown ${[...values.keys()].find((path) => !known.has(path))}`);
    }
    for (const s of this.slots) copyIn(this.held, values.get(s.path)!, s.at, fresh);
  }

  /** All state as it lies in memory, to go back to: in the place of an earlier snapshot that nobody needs, if given. */
  snapshot(earlier?: ArrayBuffer): ArrayBuffer {
    this.idle();
    if (earlier?.byteLength !== this.held.buffer.byteLength) return this.held.buffer.slice(0);
    new Uint8Array(earlier).set(new Uint8Array(this.held.buffer));
    return earlier;
  }
  restore(snapshot: ArrayBuffer): void {
    this.idle();
    if (snapshot.byteLength !== this.held.buffer.byteLength) fail("run: the snapshot is of another run");
    new Uint8Array(this.held.buffer).set(new Uint8Array(snapshot));
  }

  /**
   * A step over this state, to be taken many times. `data` is copied once and stays where the program is.
   * Nothing is compiled before the first call; a new signature of feeds compiles again, on the same state.
   */
  loop<F, O, D = Record<string, never>>(
    step: Step<S, F, D, O>,
    options: LoopOptions & { readonly data?: D } = {},
  ): Loop<S, F, D, O> {
    checkOptions("loop", options, ["data", "precision"]);
    const loop = new Loop(this, step, options.data ?? ({} as D), checkPrecision(options.precision));
    this.loops = [...this.loops.filter((l) => l.deref()), new WeakRef(loop)];
    return loop;
  }

  /**
   * What the run takes of memory: its state, a workspace for the largest of its programs so far, and of every loop that
   * was compiled its data, and feeds and outputs for its longest call so far. Known before anything is computed.
   */
  memory(): Footprint {
    const all = [this.held, this.space, ...this.loops.flatMap((loop) => loop.deref()?.memories() ?? [])];
    const used = all.flatMap((m) => m.residentBytes ?? []);
    const predictedBytes = all.reduce((sum, m) => sum + m.bytes, 0);
    const process = this.backend.residentBytes?.();
    if (used.length < all.length || process === undefined) return { predictedBytes };
    const usedBytes = used.reduce((a, b) => a + b, 0);
    const given = Math.max(0, ...this.loops.flatMap((loop) => loop.deref()?.givenBytes() ?? []));
    return { predictedBytes, usedBytes, processBytes: process + predictedBytes - usedBytes + given };
  }

  /** Ask the running call to end after its current step. */
  stop(): void {
    this.running?.stop();
  }

  /** Another thread may be writing the state: what is read in the middle of a step belongs to no step. */
  private idle(): void {
    if (this.running) fail("run: a call is under way", "await it first; stop() ends it after its current step");
  }

  /** @internal One call at a time: two would write the same memory. Only awaits, so that stacks lead to the user's line. */
  async exclusive<T>(executable: Executable, body: () => Promise<T>): Promise<T> {
    const before = this.last;
    let done = () => {};
    this.last = new Promise<void>((resolve) => {
      done = resolve;
    });
    await before;
    this.running = executable;
    try {
      return await body();
    } finally {
      this.running = undefined;
      done();
    }
  }

  /** @internal Fresh inputs for a trace, in the order of the slots. */
  traced(): { tree: Traced<S>; inputs: Tensor[] } {
    const inputs = asOne(() => this.slots.map((s) => input(s.shape, s.dtype, s.path)));
    let k = 0;
    return { tree: tree.map(() => inputs[k++], this.skeleton), inputs };
  }

  /** @internal */
  get place(): Memory {
    return this.held;
  }

  /** @internal A workspace of so many bytes at least. */
  workspace(bytes: number): Memory {
    if (bytes > this.space.bytes) this.space = this.backend.allocate(bytes);
    return this.space;
  }
}

/** In bytes. */
export type Footprint = {
  readonly predictedBytes: number;
  /** What of it has been touched: memory that never was takes none. Here and below, where the backend can tell. */
  readonly usedBytes?: number;
  /**
   * What the whole process will take: what it has now, with Node and its heap, the data on the host and the compiled
   * programs, what of the predicted has not been touched yet, and the results of one call, which are copied to the host.
   * Of thousands of calls a second V8's heap grows by 10 to 20 MB more.
   */
  readonly processBytes?: number;
};

type Slot = { readonly path: string; readonly dtype: DType; readonly shape: Shape; readonly at: number };
