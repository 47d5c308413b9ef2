/**
 * Recurrent networks: one step after the other along time. Names, gate order and first numbers are PyTorch's.
 *
 *   const tagger = module({ lstm: lstm(32, 64), head: linear(64, 10) }, (m, x) => {
 *     const [y] = m.lstm(x);                       // f32[n, t, 64]
 *     return m.head(y.slice(1, -1).squeeze(1));    // what follows from the last step: f32[n, 10]
 *   });
 *
 * The loop over time is the host's, so that the program has a copy of the step for each t and compiling it takes time
 * in proportion. Cut sequences of many hundred steps, and hand the states on. Each step multiplies its own x: one product
 * for all of them would have to be cut into steps, and the gradient of t slices is a sum of t tensors as long as the
 * whole, O(t²) work that costs far more than the larger product saves.
 */
import { fail } from "../ir/fail.ts";
import { concat, relu, sigmoid, split, stack } from "../ir/math.ts";
import { checkOptions } from "../ir/options.ts";
import { sameShape } from "../ir/shape.ts";
import { full, type Tensor } from "../ir/tensor.ts";
import { dropout } from "./dropout.ts";
import { uniform } from "./init.ts";
import { type Module, module, type ParamSpec, param } from "./module.ts";
import { checkDtype, checkSizes, type If } from "./norm.ts";

// ---- one step --------------------------------------------------------------------------------------------------------

/** What makes a kind of recurrent network: how h, and c where there is one, follow from those before. */
type Kind = {
  readonly name: string;
  /** How many times `hidden` rows the weights have. */
  readonly gates: number;
  readonly states: readonly ["h"] | readonly ["h", "c"];
  /** fromX = x · weight_ihᵀ + bias_ih, fromH = h · weight_hhᵀ + bias_hh: both f32[n, gates · hidden] → the next states */
  readonly step: (fromX: Tensor, fromH: Tensor, states: readonly Tensor[]) => readonly Tensor[];
};

/** Parts of equal width of the last axis. */
const parts = (x: Tensor, n: number): Tensor[] => split(x, Array<number>(n).fill(x.shape.at(-1)! / n), -1);

/** h ← f(W x + b + U h + b'). Elman 1990. */
function elman(name: string, nonlinearity: "tanh" | "relu"): Kind {
  if (nonlinearity !== "tanh" && nonlinearity !== "relu") {
    fail(`${name}: unknown nonlinearity "${nonlinearity}"`, '"tanh" or "relu"');
  }
  const f = nonlinearity === "relu" ? relu : (x: Tensor) => x.tanh();
  return { name, gates: 1, states: ["h"], step: (fromX, fromH) => [f(fromX.add(fromH))] };
}

/** Gates i, f, g, o: c ← f c + i g, h ← o tanh c. Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000. */
const longShortTerm = (name: string): Kind => ({
  name,
  gates: 4,
  states: ["h", "c"],
  step(fromX, fromH, [, c]) {
    const [i, f, g, o] = parts(fromX.add(fromH), 4) as [Tensor, Tensor, Tensor, Tensor];
    const next = sigmoid(f).mul(c!).add(sigmoid(i).mul(g.tanh()));
    return [sigmoid(o).mul(next.tanh()), next];
  },
});

/**
 * Gates r, z, n: n = tanh(W x + b + r (U h + b')), h ← (1 − z) n + z h. Cho et al. 2014, but the reset gate applies
 * after the product with U, as in cuDNN and PyTorch, and not to h before it.
 */
const gated = (name: string): Kind => ({
  name,
  gates: 3,
  states: ["h"],
  step(fromX, fromH, [h]) {
    const [rx, zx, nx] = parts(fromX, 3) as [Tensor, Tensor, Tensor];
    const [rh, zh, nh] = parts(fromH, 3) as [Tensor, Tensor, Tensor];
    const n = nx.add(sigmoid(rx.add(rh)).mul(nh)).tanh();
    return [n.add(sigmoid(zx.add(zh)).mul(h!.sub(n)))];
  },
});

type Weights = { weight_ih: ParamSpec; weight_hh: ParamSpec };
type Biases = { bias_ih: ParamSpec; bias_hh: ParamSpec };

/** The parameters of one step, uniform within ±1/√hidden, with a suffix to their names. */
function weightsOf({ gates }: Kind, inputs: number, hidden: number, bias: boolean, suffix = "") {
  const start = uniform(1 / Math.sqrt(hidden));
  const rows = gates * hidden;
  return {
    [`weight_ih${suffix}`]: param([rows, inputs], start),
    [`weight_hh${suffix}`]: param([rows, hidden], start),
    ...(bias && { [`bias_ih${suffix}`]: param([rows], start), [`bias_hh${suffix}`]: param([rows], start) }),
  };
}

/** x · wᵀ + b. */
function dense(x: Tensor, w: Tensor, b: Tensor | undefined): Tensor {
  const y = x.matmul(w.transpose());
  return b ? y.add(b) : y;
}

/** The states given, or zeros. Throws where only some are given, or one has another shape. */
function begin({ name, states }: Kind, given: readonly Tensor[], shape: readonly number[], x: Tensor) {
  if (given.length === 0) return states.map(() => full(0, shape, x.dtype));
  if (given.length !== states.length) {
    fail(`${name}: got ${given.length} states, it has ${states.length}: ${states.join(", ")}`, "give all or none");
  }
  for (const [k, s] of given.entries()) {
    if (sameShape(s.shape, shape) && s.dtype === x.dtype) continue;
    fail(`${name}: the state ${states[k]} is ${s}, for the input ${x} it must be ${x.dtype}[${shape}]`);
  }
  return given;
}

// ---- along time --------------------------------------------------------------------------------------------------------

export type RecurrentOptions = {
  /** One above the other; 1 unless given. */
  readonly layers?: number;
  readonly bias?: boolean;
  /** A second network from the last step to the first in each layer; y has both, side by side. */
  readonly bidirectional?: boolean;
  /** In training, between layers. */
  readonly dropout?: number;
};
export type RnnOptions = RecurrentOptions & { readonly nonlinearity?: "tanh" | "relu" };

/** Parameters weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_ih_l0_reverse, … */
type Layers = { readonly [name: string]: ParamSpec };

/** What may follow x; lengths are integers, by which they are told from a state. */
type None = readonly [];
type WithH = None | readonly [hOrLengths: Tensor] | readonly [h: Tensor, lengths: Tensor];
type WithHAndC =
  | None
  | readonly [lengths: Tensor]
  | readonly [h: Tensor, c: Tensor]
  | readonly [h: Tensor, c: Tensor, lengths: Tensor];

/**
 * A recurrent network with one nonlinearity.   x: f32[n, t, inputs] → [y: f32[n, t, directions · hidden], h]
 *
 * More inputs, each may be left out: the first h, f32[layers · directions, n, hidden] as the last one is returned, zeros
 * unless given; and `lengths`, i32[n], how many steps of each sequence count: after them its state stays, y is 0, and
 * a reverse network begins at its last one, as with PyTorch's packed sequences.
 *
 * Throws where x or a state has another shape or dtype; lengths beyond 0 … t are refused where they come in as data.
 */
export const rnn = (
  inputs: number,
  hidden: number,
  options: RnnOptions = {},
): Module<Layers, WithH, readonly [y: Tensor, h: Tensor]> => {
  checkOptions("rnn", options, [...known, "nonlinearity"]);
  const { nonlinearity = "tanh", ...rest } = options;
  return recurrent(elman("rnn", nonlinearity), inputs, hidden, rest);
};

const known = ["layers", "bias", "bidirectional", "dropout"] as const;

/**
 * Long short-term memory.   x: f32[n, t, inputs] → [y: f32[n, t, directions · hidden], h, c]
 * First states come as two inputs, h and c; all else as rnn. The forget gate's bias has no head start.
 */
export const lstm = (
  inputs: number,
  hidden: number,
  options: RecurrentOptions = {},
): Module<Layers, WithHAndC, readonly [y: Tensor, h: Tensor, c: Tensor]> =>
  recurrent(longShortTerm("lstm"), inputs, hidden, options);

/** A network of gated recurrent units.   x: f32[n, t, inputs] → [y: f32[n, t, directions · hidden], h]; all else as rnn. */
export const gru = (
  inputs: number,
  hidden: number,
  options: RecurrentOptions = {},
): Module<Layers, WithH, readonly [y: Tensor, h: Tensor]> => recurrent(gated("gru"), inputs, hidden, options);

// any: outputs and names of weights differ by kind and layers, as the types above say
function recurrent(kind: Kind, inputs: number, hidden: number, options: RecurrentOptions): Module<any, any, any> {
  const { name } = kind;
  checkOptions(name, options, known);
  const { layers = 1, bias = true, bidirectional = false, dropout: rate = 0 } = options;
  checkSizes(`${name}(${inputs}, ${hidden}, { layers: ${layers} })`, [inputs, hidden, layers]);
  if (rate !== 0 && layers === 1) fail(`${name}: dropout ${rate} stands between layers, and there is one layer`);
  const ways = bidirectional ? ["", "_reverse"] : [""];
  const widths = Array.from({ length: layers }, (_, l) => (l === 0 ? inputs : hidden * ways.length));
  const cells = widths.flatMap((width, l) => ways.map((way) => weightsOf(kind, width, hidden, bias, `_l${l}${way}`)));
  const children = { ...Object.assign({}, ...cells), ...(rate !== 0 && { dropout: dropout(rate) }) };

  return module(children, (m: any, x: Tensor, _, ...more: readonly Tensor[]) => {
    checkSequence(name, x, inputs);
    checkDtype(name, x, m.weight_ih_l0);
    const [n, t] = x.shape as [number, number];
    const lengths = more.find((s) => !s.isFloat);
    const shape = [layers * ways.length, n, hidden];
    const first = begin(
      kind,
      more.filter((s) => s !== lengths),
      shape,
      x,
    );
    const valid = lengths && validity(name, lengths, n, t);

    const last: (readonly Tensor[])[] = [];
    let xs = Array.from({ length: t }, (_, at) => x.slice(1, at, at + 1).squeeze(1));
    for (let l = 0; l < layers; l++) {
      if (l > 0 && m.dropout) xs = xs.map((v) => m.dropout(v));
      const outputs = ways.map((way) => {
        const [w, u, b, d] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map((of) => m[`${of}_l${l}${way}`]);
        let states = first.map((s) => s.slice(0, last.length, last.length + 1).squeeze(0));
        const ys = Array<Tensor>(t);
        for (let s = 0; s < t; s++) {
          const at = way ? t - 1 - s : s;
          const next = kind.step(dense(xs[at]!, w, b), dense(states[0]!, u, d), states);
          ys[at] = valid ? valid[at]!.where(next[0]!, 0) : next[0]!;
          states = valid ? next.map((v, k) => valid[at]!.where(v, states[k]!)) : [...next];
        }
        last.push(states);
        return ys;
      });
      xs = xs.map((_, at) =>
        concat(
          outputs.map((ys) => ys[at]!),
          -1,
        ),
      );
    }
    return [stack(xs, 1), ...kind.states.map((_, k) => stack(last.map((states) => states[k]!)))];
  });
}

/** For each step, bool[n, 1]: whether it is within each sequence. */
function validity(name: string, lengths: Tensor, n: number, t: number): Tensor[] {
  if (!sameShape(lengths.shape, [n])) fail(`${name}: lengths ${lengths} must have the shape [${n}], one per sequence`);
  const within = lengths.bound(t + 1, `${name}: lengths`).unsqueeze(1);
  return Array.from({ length: t }, (_, at) => within.gt(at));
}

function checkSequence(name: string, x: Tensor, inputs: number): void {
  if (x.rank === 3 && x.shape[2] === inputs && x.shape[1]! > 0) return;
  const hint =
    x.rank === 2 && x.shape[1] === inputs
      ? "one sequence is a batch too: x.unsqueeze(0)"
      : x.rank === 3 && x.shape[1] === inputs
        ? "time comes before the features: x.permute([0, 2, 1])"
        : undefined;
  fail(`${name}: input ${x}, this layer expects [n, t, ${inputs}] with at least one step`, hint);
}

// ---- cells -------------------------------------------------------------------------------------------------------------

type CellOptions = { readonly bias?: boolean };
type Cell<O extends CellOptions, More extends readonly Tensor[], Y> = Module<Weights & If<O["bias"], Biases>, More, Y>;

/** One step of rnn, for loops of one's own.   x: f32[n, inputs], h?: f32[n, hidden] → h */
export const rnnCell = <const O extends CellOptions & Pick<RnnOptions, "nonlinearity"> = Record<never, never>>(
  inputs: number,
  hidden: number,
  options?: O,
): Cell<O, None | readonly [h: Tensor], Tensor> => {
  checkOptions<CellOptions & Pick<RnnOptions, "nonlinearity">>("rnnCell", options, ["bias", "nonlinearity"]);
  return cell(elman("rnnCell", options?.nonlinearity ?? "tanh"), inputs, hidden, options?.bias);
};

/** One step of lstm.   x: f32[n, inputs], h? and c?: f32[n, hidden] → [h, c] */
export const lstmCell = <const O extends CellOptions = Record<never, never>>(
  inputs: number,
  hidden: number,
  options?: O,
): Cell<O, None | readonly [h: Tensor, c: Tensor], readonly [h: Tensor, c: Tensor]> =>
  cell(longShortTerm("lstmCell"), inputs, hidden, biasOf("lstmCell", options));

/** One step of gru.   x: f32[n, inputs], h?: f32[n, hidden] → h */
export const gruCell = <const O extends CellOptions = Record<never, never>>(
  inputs: number,
  hidden: number,
  options?: O,
): Cell<O, None | readonly [h: Tensor], Tensor> => cell(gated("gruCell"), inputs, hidden, biasOf("gruCell", options));

function biasOf(name: string, options: CellOptions | undefined): boolean | undefined {
  checkOptions(name, options, ["bias"]);
  return options?.bias;
}

// any: what comes out differs by kind, as the types above say
function cell(kind: Kind, inputs: number, hidden: number, bias = true): Module<any, any, any> {
  const { name } = kind;
  checkSizes(`${name}(${inputs}, ${hidden})`, [inputs, hidden]);
  return module(weightsOf(kind, inputs, hidden, bias), (m: any, x: Tensor, _, ...given: readonly Tensor[]) => {
    if (x.rank !== 2 || x.shape[1] !== inputs) fail(`${name}: input ${x}, this layer expects [n, ${inputs}]`);
    checkDtype(name, x, m.weight_ih);
    const states = begin(kind, given, [x.shape[0]!, hidden], x);
    const fromX = dense(x, m.weight_ih, m.bias_ih);
    const next = kind.step(fromX, dense(states[0]!, m.weight_hh, m.bias_hh), states);
    return next.length === 1 ? next[0] : next;
  });
}
