/**
 * Why a step went wrong: the step again, on the reference backend, with every number kept, and a search for the first
 * operation that makes a non-finite number out of finite ones.
 */
import { compile, type Trace } from "../compile/compile.ts";
import { type Buffer, buffersOf } from "../compile/program.ts";
import { dtypes } from "../ir/dtype.ts";
import { topo } from "../ir/graph.ts";
import { isMovement } from "../ir/ops.ts";
import { size } from "../ir/shape.ts";
import { constant, type Tensor } from "../ir/tensor.ts";
import { bytesOf, type Value } from "../ir/value.ts";
import { loadJs, printJs } from "../print/js.ts";

/** A number that went into the operation: what it is, and how its finite part is spread. */
export type Operand = {
  readonly text: string;
  readonly min: number;
  readonly max: number;
  /** Elements that are NaN or infinite. */
  readonly nonFinite: number;
};

export type Finding = {
  readonly op: string;
  /** The result, such as `f32[32,10]`. */
  readonly tensor: string;
  /** The module path, such as `net.layers.0`; empty outside of modules. */
  readonly module: string;
  /** Module path and the user's line. */
  readonly origin: string;
  /** Whether it happened while gradients were computed. */
  readonly inGradient: boolean;
  readonly operands: readonly Operand[];
  readonly message: string;
};

/** What one step sees: the state as it lay in memory before it, the resident data, and one slice of the feeds. */
export type Moment = {
  readonly state: ArrayBuffer;
  readonly data: readonly Value[];
  readonly feeds: readonly Value[];
};

/** The first operation that gave a non-finite number from finite ones; undefined when all stayed finite. */
export function explain(trace: Trace, moment: Moment): Finding | undefined {
  const { watch: _, ...silent } = trace;
  const program = compile(silent, { everything: true });
  // The node of this program, where equal nodes have become one.
  const watched = trace.watch && program.outputs[trace.outputs.indexOf(trace.watch)]!.tensor;
  const counts = watched && new Set(topo([watched]));
  const arena = new ArrayBuffer(program.temporaryBytes);
  const bytes = (v: Value) => v.data.buffer.slice(v.data.byteOffset, v.data.byteOffset + v.data.byteLength);
  const literals = program.resident.slice(moment.data.length).map((b) => b.tensor.arg as Value);
  const outputs = program.outputs.map((b) => new ArrayBuffer(bytesOf(b)));
  const memory = {
    state: moment.state.slice(0),
    arena,
    resident: [...moment.data, ...literals].map(bytes),
    feeds: moment.feeds.map(bytes),
    outputs,
  };
  loadJs(printJs(program))(memory, 1);

  const numbers = (b: Buffer): ArrayLike<number> => {
    const [from, at] = {
      state: [memory.state, b.at] as const,
      temporary: [arena, b.at] as const,
      resident: [memory.resident[b.at]!, 0] as const,
      feed: [memory.feeds[b.at]!, 0] as const,
      output: [outputs[b.at]!, 0] as const,
    }[b.role as "state" | "temporary" | "resident" | "feed" | "output"];
    return new dtypes[b.dtype].array(from, at, size(b.shape));
  };
  const known = new Map<Buffer, Operand>();
  const about = (b: Buffer): Operand => {
    const s = known.get(b) ?? statistics(nameOf(b.tensor), numbers(b));
    known.set(b, s);
    return s;
  };
  for (const k of program.kernels) {
    const { writes, reads } = buffersOf(k, program.named);
    const out = writes[0]!;
    const given = reads.filter((b) => dtypes[b.dtype].float);
    if (about(out).nonFinite === 0 || given.some((b) => about(b).nonFinite > 0)) continue;
    // A gradient comes after the loss that is watched, and spoils the next step.
    const matters = !counts || counts.has(out.tensor) || out.tensor.origin.of !== undefined;
    if (onPurpose(out.tensor) || !matters) continue;
    return finding(out.tensor, given.map(about));
  }
  const spoilt = [...program.state, ...program.resident, ...program.feeds].find((b) => about(b).nonFinite > 0);
  return spoilt && cameIn(spoilt.tensor, about(spoilt));
}

/** An infinity that the user wrote, as a mask does, is only a finding once it spoils something. */
const onPurpose = (t: Tensor): boolean => t.src.some((s) => !Number.isFinite(constant(s) ?? 0));

function finding(t: Tensor, operands: readonly Operand[]): Finding {
  const origin = t.origin.toString();
  const inGradient = t.origin.of !== undefined;
  const op = t.op === "sum" && t.src[0]?.op === "mul" ? "sum of products" : t.op;
  const where = origin ? ` at ${origin}` : "";
  const parts = operands.map((o) => `${o.text} in [${short(o.min)}, ${short(o.max)}]`);
  const message =
    `${inGradient ? "the gradient of an op" : `${op} → ${t}`}${where} is the first to give a number that is not finite; ` +
    `it had ${parts.join(", ") || "no operands"}`;
  return { op, tensor: `${t}`, module: t.origin.module, origin, inGradient, operands, message };
}

function cameIn(t: Tensor, o: Operand): Finding {
  const message = `${o.text} ${t} came in with ${o.nonFinite} numbers that are not finite`;
  return { op: "input", tensor: `${t}`, module: "", origin: "", inGradient: false, operands: [o], message };
}

const nameOf = (t: Tensor): string => {
  let x = t;
  while (isMovement(x.op)) x = x.src[0]!;
  return x.op === "input" && x.arg ? `${x.arg}` : `${x.op} ${x}`;
};

function statistics(text: string, xs: ArrayLike<number>): Operand {
  let min = Infinity;
  let max = -Infinity;
  let nonFinite = 0;
  for (let k = 0; k < xs.length; k++) {
    const x = xs[k]!;
    if (!Number.isFinite(x)) nonFinite++;
    else {
      if (x < min) min = x;
      if (x > max) max = x;
    }
  }
  return { text, min, max, nonFinite };
}

const short = (x: number): string => (Number.isFinite(x) ? `${+x.toPrecision(3)}` : `${x}`);
