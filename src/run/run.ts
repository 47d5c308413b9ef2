/**
 * A Run owns state (parameters, optimizer state, running statistics) and steps that change it. Steps are traced once per
 * signature, compiled, and taken many at a time; nobody outside holds a buffer, so there is nothing to dispose.
 */
import type { Trace } from "../compile/compile.ts";
import { align } from "../compile/memory.ts";
import { type Precision, precisions } from "../compile/precision.ts";
import type { Check, Program } from "../compile/program.ts";
import { type DType, dtypes } from "../ir/dtype.ts";
import { entering, fail, shown } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import { type Shape, sameShape, size } from "../ir/shape.ts";
import { asOne, input, Tensor } from "../ir/tensor.ts";
import { bytesOf, isBlank, Value } from "../ir/value.ts";
import * as tree from "../tree.ts";
import type { Backend, BackendName, Executable, Memory, Places } from "./backend.ts";
import { explain, type Finding } from "./explain.ts";
import { type Loaded, load } from "./load.ts";
import { selectBackend } from "./select.ts";
import { checkThreads } from "./threads.ts";

/** The same tree while it is traced, and back. Either kind of leaf may be written: what is traced already stays. */
export type Traced<T> = tree.Mapped<T, Value, Tensor>;
export type Values<T> = tree.Mapped<T, Tensor, Value>;

/** What one step gives: the next state (left out, it stays), and what to report. */
export type Result<S, O> = {
  readonly state?: Traced<S>;
  readonly output: O;
  /** A scalar float of `output` that ends a loop of steps when it is not finite, such as the loss. */
  readonly watch?: Tensor;
};

/** state, one step's slice of the feeds, and the resident data → the result, in tensors. */
export type Step<S, F, D, O> = (state: Traced<S>, feed: Traced<F>, data: Traced<D>) => Result<S, O>;

export type Taken<O> = {
  /** How many steps were taken: fewer than asked where the watched output was not finite or `stop` was called. */
  readonly steps: number;
  /** As the step's output, with an axis of that length in front of each tensor. */
  readonly output: Values<O>;
};

/** Where programs run. */
export type RunOptions = {
  readonly backend?: BackendName | "auto" | Backend | undefined;
  /**
   * The most threads they may use, 1 to 256; unless given, $DOWNHILL_THREADS or one for each processor. They use them
   * where that is measured to be faster, and the results are the same bits. JavaScript has one thread.
   */
  readonly threads?: number | undefined;
};

/** How a step is computed. */
export type LoopOptions = {
  /**
   * "bf16", "f16": every f32 product of two matrices over one axis of 16 or more has its factors rounded to bfloat16, 8
   * significant bits, or to IEEE half, 11 of them up to 65504, and is added up in f32, forward and backward. They lie in
   * two bytes, and so does what convolutions give and maxima are chosen from, where gradients are taken. The state and
   * all else, the factors of convolutions too, stay f32. bf16 is faster where the CPU multiplies it (AMX,
   * AVX512-BF16) and the matrices are large. A loss whose gradients may leave f16's range is scaled by whoever takes the
   * gradients; `fit` does that.
   * "f64": every f32 number of the step is computed in f64; state and outputs are cast back.
   * "f32" unless given. docs/precision.md has the figures.
   */
  readonly precision?: Precision | undefined;
};

/** Throws where it is no precision. */
export function checkPrecision(precision: unknown = "f32"): Precision {
  const known = precisions.find((name) => name === precision);
  return (
    known ?? fail(`precision: expected ${precisions.map((name) => `"${name}"`).join(", ")}, got ${shown(precision)}`)
  );
}

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

/** One signature of feeds, compiled. */
type Variant<O> = Loaded & {
  readonly feeds: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly output: O;
  capacity: number;
  places: Places;
};

export class Loop<S, F, D, O> {
  private readonly run: Run<S>;
  private readonly step: Step<S, F, D, O>;
  private readonly precision: Precision;
  /** As it was given, and from the first compilation on as it lies in the program's memory: one copy is enough. */
  private data: D;
  private readonly variants = new Map<string, Variant<O>>();
  private resident: Memory[] | undefined;

  /** @internal Made by Run.loop. */
  constructor(run: Run<S>, step: Step<S, F, D, O>, data: D, precision: Precision) {
    this.run = run;
    this.step = step;
    this.data = data;
    this.precision = precision;
  }

  /**
   * Take `steps` steps. Each leaf of `feeds` has an axis of that length in front; step s sees slice s of it. `earlier` is
   * what a call gave that nobody reads any more: its arrays are written again where they are as long as they have to be,
   * for JavaScript lets those of thousands of short calls lie for long.
   *
   * Throws where a feed does not fit, or holds an index that is out of range.
   */
  async take(steps: number, feeds: Values<F>, earlier?: Taken<O>): Promise<Taken<O>> {
    if (!(Number.isInteger(steps) && steps >= 0)) fail(`run: cannot take ${steps} steps`);
    const values = tree.paths<Value>(feeds);
    for (const [path, v] of values) {
      if (!(v instanceof Value)) fail(`run: feed ${path} must be a Value`, "make one with value(shape, numbers)");
      if (v.shape[0] !== steps) fail(`run: feed ${path} is ${v}; its first axis must be the ${steps} steps`);
    }
    const variant = this.variant(feeds, values);
    return await this.run.exclusive(variant.executable, () => this.call(variant, steps, values, earlier?.output));
  }

  private async call(
    variant: Variant<O>,
    steps: number,
    values: [string, Value][],
    earlier: unknown,
  ): Promise<Taken<O>> {
    const { checks, feeds, executable } = variant;
    this.reserve(variant, steps || 1);
    const { places } = variant; // of this call, whatever is reserved while it runs
    check(
      checks,
      feeds,
      values.map(([, v]) => v),
    );
    values.forEach(([, v], k) => copyIn(places.feeds[k]!, v, 0));
    const taken = await executable.run(places, steps);
    let k = 0;
    const give = (t: Tensor, old?: Value) => {
      const memory = places.outputs[k++]!;
      const shape = [taken, ...t.shape];
      return new Value(t.dtype, shape, copyOut(memory, t.dtype, size(shape), 0, old));
    };
    return { steps: taken, output: tree.map(give, variant.output, earlier) };
  }

  /**
   * What was compiled for feeds like these, with room for as many steps: for benchmarks, memory reports and the curious.
   */
  compiled(feeds: Values<F>): {
    readonly program: Program;
    readonly executable: Executable;
  } {
    const variant = this.variant(feeds);
    const { program, executable } = variant;
    this.reserve(variant, tree.leaves<Value>(feeds)[0]?.shape[0] || 1);
    return {
      executable,
      get program() {
        return program();
      },
    };
  }

  /** @internal What this loop takes beside the run's state and workspace. */
  memories(): Memory[] {
    const all = [...this.variants.values()].flatMap(({ places: { resident, feeds, outputs } }) => {
      return [...resident, ...feeds, ...outputs];
    });
    return [...new Set(all)];
  }

  /** @internal What its largest call gives. */
  givenBytes(): number {
    const given = ({ places }: Variant<O>) => places.outputs.reduce((sum, m) => sum + m.bytes, 0);
    return Math.max(0, ...[...this.variants.values()].map(given));
  }

  /**
   * The first operation of a step that gives a non-finite number: `state` is a snapshot from before that step, `feeds`
   * are that step's alone, with a leading axis of 1. Slow; nothing of the run changes.
   */
  explain(state: ArrayBuffer, feeds: Values<F>): Finding | undefined {
    const moment = { state, data: tree.leaves<Value>(this.data), feeds: tree.leaves<Value>(feeds) };
    return explain(this.variant(feeds).trace(), moment);
  }

  private variant(feeds: Values<F>, values = tree.paths<Value>(feeds)): Variant<O> {
    const signature = values.map(([path, v]) => `${path} ${v.dtype}[${v.shape.slice(1)}]`).join("; ");
    const variant = this.variants.get(signature) ?? this.compile(feeds);
    this.variants.set(signature, variant);
    return variant;
  }

  private compile(feeds: Values<F>): Variant<O> {
    const state = this.run.traced();
    // Not made during a walk over the Values: a tensor's origin keeps the stack, and a stack what it was called on.
    const inputsOf = (t: unknown, drop: number) => {
      const inputs: Tensor[] = [];
      for (const [path, v] of tree.paths<Value>(t)) {
        if (!(v instanceof Value))
          fail(`run: ${path || "the argument"} must be a Value`, "make one with value(shape, numbers)");
        inputs.push(input(v.shape.slice(drop), v.dtype, path));
      }
      let k = 0;
      return { inputs, traced: tree.map(() => inputs[k++], t) };
    };
    const feed = inputsOf(feeds, 1);
    const data = inputsOf(this.data, 0);
    const result = entering(() => this.step(state.tree, feed.traced, data.traced));
    checkResult(result);
    const next = result.state === undefined ? state.inputs : nextState(state.tree, result.state);
    const outputs = tree.leaves<Tensor>(result.output);
    for (const [path, t] of tree.paths(result.output)) {
      if (!(t instanceof Tensor)) fail(`run: the output ${path || "of the step"} must be a tensor, got ${String(t)}`);
    }
    const { watch } = result;
    if (watch && !(outputs.includes(watch) && watch.isFloat && size(watch.shape) === 1)) {
      fail(`run: what is watched must be one float among the outputs, got ${watch}`);
    }
    const traced: Trace = {
      state: state.inputs.map((now, k) => ({ now, next: next[k]! })),
      resident: data.inputs,
      feeds: feed.inputs,
      outputs,
      ...(watch && { watch }),
    };
    const { backend, threads } = this.run;
    const loaded = load(traced, this.precision, backend, threads);
    const { executable, checks, literals } = loaded;
    const given = tree.leaves<Value>(this.data);
    const constants = literals.map((t) => t.arg as Value);
    check(checks, [...data.inputs, ...literals], [...given, ...constants], backend.indices);
    this.resident ??= this.settle(given);
    const resident = [...this.resident, ...constants.map((v) => residentOf(backend, v))];
    const workspace = this.run.workspace(executable.bytes);
    const places = { state: this.run.place, workspace, resident, feeds: [], outputs: [] };
    return { ...loaded, feeds: feed.inputs, outputs, output: result.output, capacity: 0, places };
  }

  /** Copies the data to where the program is, and lets go of what was given. */
  private settle(given: readonly Value[]): Memory[] {
    const memories = given.map((v) => residentOf(this.run.backend, v));
    const settled = given.map(({ dtype, shape }, k) => {
      return new Value(dtype, shape, new dtypes[dtype].array(memories[k]!.buffer, 0, size(shape)));
    });
    let k = 0;
    this.data = tree.map(() => settled[k++], this.data);
    return memories;
  }

  /** Room for so many steps' feeds and outputs; it grows and is kept. */
  private reserve(v: Variant<O>, steps: number): void {
    const { backend } = this.run;
    const workspace = this.run.workspace(v.executable.bytes);
    if (workspace !== v.places.workspace) v.places = { ...v.places, workspace }; // a larger program has come
    if (steps <= v.capacity) return;
    const room = (b: { dtype: DType; shape: Shape }) => backend.allocate(steps * bytesOf(b));
    v.places = { ...v.places, feeds: v.feeds.map(room), outputs: v.outputs.map(room) };
    v.capacity = steps;
  }
}

function residentOf(backend: Backend, v: Value): Memory {
  const m = backend.allocate(bytesOf(v));
  copyIn(m, v, 0, true);
  return m;
}

/** What a step in JavaScript gives may be anything. */
function checkResult(result: unknown): void {
  if (!(typeof result === "object" && result !== null && "output" in result)) {
    const hint = "return { state, output }: what the state becomes, and what to report, such as {}";
    fail(`run: the step returned ${shown(result)}`, hint);
  }
  for (const name of Object.keys(result)) {
    if (!["state", "output", "watch"].includes(name))
      fail(`run: the step returned "${name}"; what it returns are state, output and watch`);
  }
}

/** The next state's leaves, in the order of the state's. */
function nextState(now: unknown, next: unknown): Tensor[] {
  const given = new Map(tree.paths<Tensor>(next));
  const list = tree.paths<Tensor>(now).map(([path, t]) => {
    const n = given.get(path);
    if (!(n instanceof Tensor)) fail(`run: the step returned no state for ${path}`);
    if (n.dtype !== t.dtype || !sameShape(n.shape, t.shape))
      fail(`run: the state ${path} is ${t}, the step returned ${n} for it`);
    return n;
  });
  if (given.size !== list.length)
    fail(`run: the step returned a state with ${given.size} tensors, it has ${list.length}`);
  return list;
}

/**
 * Indices among these inputs must lie in range before native code uses them. `known` says from how many numbers at the
 * front nothing is to be found.
 */
function check(
  checks: readonly Check[],
  inputs: readonly Tensor[],
  values: readonly Value[],
  known: Backend["indices"] = () => 0,
): void {
  for (const c of checks) {
    const { data } = values[inputs.indexOf(c.input)] ?? {};
    if (!data) continue;
    const at = firstOutside(data, c, known(data, c.n));
    if (at < 0) continue;
    const { input: t, n, what } = c;
    fail(`${what}: ${t.arg || "an index"} holds ${data[at]} at ${placeOf(at, t.shape)}; it must lie in 0 … ${n - 1}`);
  }
}

function firstOutside(data: Value["data"], { input, part, n, except }: Check, from: number): number {
  for (let at = from; at < data.length; at++) {
    const x = data[at]!;
    if (!(x >= 0 && x < n) && x !== except && within(at, input.shape, part)) return at;
  }
  return -1;
}

/** Whether element `at`, of a tensor of this shape or of several in a row, lies in [from, to) on each axis. */
function within(at: number, shape: Shape, part: Check["part"]): boolean {
  let rest = at;
  for (let k = shape.length - 1; k >= 0; k--) {
    const i = rest % shape[k]!;
    if (i < part[k]![0] || i >= part[k]![1]) return false;
    rest = (rest - i) / shape[k]!;
  }
  return true;
}

/** Where element `at` is, of a tensor of this shape or of several in a row: of those the place in its own. */
function placeOf(at: number, shape: Shape): string {
  if (shape.length < 2) return `position ${at}`;
  let rest = at % size(shape);
  const index = shape.toReversed().map((n) => {
    const i = rest % n;
    rest = (rest - i) / n;
    return i;
  });
  const step = Math.floor(at / size(shape));
  return `[${index.reverse().join(", ")}]${step > 0 ? ` of step ${step}` : ""}`;
}

/** `fresh`: the memory is as it was allocated, so that zeros are there, and stay untouched where no step writes them. */
function copyIn(memory: Memory, v: Value, at: number, fresh = false): void {
  if (!isBlank(v)) new dtypes[v.dtype].array(memory.buffer, at, v.data.length).set(v.data);
  else if (!fresh) new Uint8Array(memory.buffer, at, bytesOf(v)).fill(0);
}

function copyOut<D extends DType>(memory: Memory, dtype: D, n: number, at: number, into?: Value) {
  const numbers = new dtypes[dtype].array(memory.buffer, at, n);
  if (into?.dtype !== dtype || into.data.length !== n) return numbers.slice();
  into.data.set(numbers);
  return into.data;
}
