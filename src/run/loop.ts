/**
 * A Loop is a step over the state of a run, to be taken many times: traced once per signature of feeds, compiled, and
 * called for many steps at once.
 */
import type { Trace } from "../compile/compile.ts";
import { type Precision, precisions } from "../compile/precision.ts";
import type { Program } from "../compile/program.ts";
import { type DType, dtypes } from "../ir/dtype.ts";
import { entering, fail, shown } from "../ir/fail.ts";
import { type Shape, sameShape, size } from "../ir/shape.ts";
import { input, Tensor } from "../ir/tensor.ts";
import { bytesOf, lazy, Value } from "../ir/value.ts";
import * as tree from "../tree.ts";
import type { Executable, Memory, Places } from "./backend.ts";
import { copyIn, copyOut, residentOf } from "./copy.ts";
import { explain, type Finding } from "./explain.ts";
import { blame, noting } from "./feeds.ts";
import { check } from "./indices.ts";
import { type Loaded, load } from "./load.ts";
import type { Run } from "./run.ts";

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
   * Throws where a feed is missing or does not fit, or holds an index that is out of range.
   */
  async take(steps: number, feeds: Values<F>, earlier?: Taken<O>): Promise<Taken<O>> {
    if (!(Number.isInteger(steps) && steps >= 0)) fail(`run: cannot take ${steps} steps`);
    const values = tree.paths<Value>(feeds);
    for (const [path, v] of values) {
      if (!(v instanceof Value)) {
        const what = path ? `feed ${path}` : "what a loop is fed";
        fail(`run: ${what} must be a Value, got ${shown(v)}`, "make one with value(shape, numbers)");
      }
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
    const result = this.traced(state.tree, feed.traced, data.traced, feeds);
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

  /** The step in tensors. */
  private traced(state: Traced<S>, feed: Traced<F>, data: Traced<D>, given: Values<F>): Result<S, O> {
    const { fed, missing } = noting(feed);
    try {
      return entering(() => this.step(state, fed, data));
    } catch (error) {
      const earlier = [...this.variants.values()].flatMap((v) => v.feeds);
      return blame(error, missing, tree.leaves<Value>(given), earlier);
    }
  }

  /** Copies the data to where the program is, and lets go of what was given. */
  private settle(given: readonly Value[]): Memory[] {
    const memories = given.map((v) => residentOf(this.run.backend, v));
    const settled = given.map(({ dtype, shape }, k) => {
      return lazy(dtype, shape, () => new dtypes[dtype].array(memories[k]!.buffer, 0, size(shape)));
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
