/**
 * A net as an ONNX model, the file that onnxruntime and most other tools read: its evaluation is traced, every tensor
 * translated (ops.ts), and what it needs written down with the parameters (model.ts).
 */
import type { DType } from "../../ir/dtype.ts";
import { fail, shown } from "../../ir/fail.ts";
import { topo, unify } from "../../ir/graph.ts";
import type { Shape } from "../../ir/shape.ts";
import { Tensor, input as tensor } from "../../ir/tensor.ts";
import { Value } from "../../ir/value.ts";
import { apply, type Module, type Params, type State } from "../../nn/index.ts";
import * as tree from "../../tree.ts";
import { isNamed, requireNet, requireObject, requireParams } from "../given.ts";
import { batchSizes, dynamicShape, generalised } from "./batch.ts";
import { Builder } from "./builder.ts";
import { encode, opsets, type Port } from "./model.ts";
import { rows } from "./ops.ts";
import type { Wire } from "./wire.ts";

/** An example, or what one looks like; f32 unless said otherwise. An axis may be called "batch". */
export type OnnxInput = Value | { readonly shape: readonly (number | "batch")[]; readonly dtype?: DType };

export type OnnxOptions = {
  /**
   * Length of every axis that is called "batch" or, where none is, of the first axis of every input: that of the given
   * shapes, another one, or "dynamic" for a graph that takes batches of any size.
   */
  readonly batch?: number | "dynamic";
  /** Names of the outputs, in order: `output`, or its paths where it is a list or record, unless given. */
  readonly outputs?: readonly string[];
  /** What is done to the net's output, such as `softmax`. */
  readonly after?: (y: Tensor) => Tensor;
  /** Version of the ONNX operator set, 18 to 22; 18 unless given, which onnxruntime 1.14 and later read. */
  readonly opset?: number;
  /** Name of the graph; "net" unless given. */
  readonly name?: string;
  /** Texts to keep in the file, as its metadata_props. */
  readonly metadata?: Readonly<Record<string, string>>;
};

/**
 * The bytes of an .onnx file that computes `apply(net, { params, state }, inputs)` outside training.
 *
 *   const file = toOnnx(net, model, { image: { shape: [1, 1, 28, 28] } }, { batch: "dynamic" });
 *
 * Inputs are named, in the order in which the net takes them. Parameters and state are kept under their dotted paths.
 * Throws where the net draws or changes its state in evaluation, where parameters are no floats or do not fit, and,
 * with a dynamic batch, where rows of a batch see each other.
 */
export function toOnnx<N extends Module>(
  net: N,
  model: { readonly params: Params<N>; readonly state?: State<N> },
  inputs: Readonly<Record<string, OnnxInput>>,
  options: OnnxOptions = {},
): Uint8Array<ArrayBuffer> {
  requireNet("toOnnx: net", net);
  requireParams("toOnnx", model, inputsCall);
  requireObject("toOnnx: options", options, 'toOnnx(net, model, inputs, { batch: "dynamic" })');
  const { batch, outputs: names, opset = 18, name = "net", metadata = {} } = options;
  if (!opsets.includes(opset)) fail(`toOnnx: opset ${opset} is not one of ${opsets.join(", ")}`);
  if (batch !== undefined && batch !== "dynamic" && !(Number.isInteger(batch) && batch >= 1)) {
    fail(`toOnnx: batch: expected a whole number from 1, or "dynamic", got ${batch}`);
  }
  if (Array.isArray(inputs) || (inputs !== undefined && !isNamed(inputs)) || inputs instanceof Value) {
    fail(`toOnnx: expected inputs by name, got ${shown(inputs)}`, inputsCall);
  }
  const given = Object.entries(inputs ?? {});
  for (const [title, one] of given) {
    if (isNamed(one) && Array.isArray(one.shape)) continue;
    fail(`toOnnx: input "${title}": expected a Value or { shape }, got ${shown(one)}`, inputsCall);
  }
  if (given.length === 0) fail("toOnnx: the net has no input", "name what it takes: { x: { shape: [1, 784] } }");
  if (given.some(([title]) => title === "")) fail("toOnnx: an input has no name");

  const lengths = given.map(([, { shape }]): readonly (number | "batch")[] => shape);
  const named = lengths.some((shape) => shape.includes("batch"));
  if (named && batch === undefined)
    fail(`toOnnx: how long is the axis "batch"?`, 'say { batch: "dynamic" } or a number');
  const axes = lengths.map((shape) => (named ? shape.indexOf("batch") : shape.length > 0 ? 0 : -1));
  const shapesAt = (n: number | undefined) =>
    lengths.map((shape, k) => shape.map((m, axis) => (n !== undefined && axis === axes[k] ? n : (m as number))));

  const sizes: readonly (number | undefined)[] = batch === "dynamic" ? batchSizes : [batch];
  const traces = sizes.map((n) => trace(net, model, given, shapesAt(n), options));
  const [first] = traces as [Trace];
  const titles = names ?? first.paths;
  if (titles.length !== first.outputs.length) {
    fail(`toOnnx: ${titles.length} names for ${first.outputs.length} outputs (${first.paths.join(", ")})`);
  }
  const ends = traces.map((t) => [...t.outputs, ...t.inputs]);
  const batched = axes.findIndex((axis) => axis >= 0);
  if (batch === "dynamic" && batched < 0) fail("toOnnx: no input has an axis that could be the batch");
  const whole = batch === "dynamic" ? generalised(ends, { input: given[batched]![0], axis: axes[batched]! }) : ends[0]!;
  const ports = [...titles, ...given.map(([title]) => title)].map((title, k): Port => {
    const shapes = ends.map((wires) => wires[k]!.shape);
    return { name: title, wire: whole[k]!, shape: batch === "dynamic" ? dynamicShape(shapes) : shapes[0]! };
  });
  return encode(ports.slice(titles.length), ports.slice(0, titles.length), { name, opset, metadata });
}

const inputsCall = "toOnnx(net, { params, state }, { x: { shape: [1, 784] } })";

type Trace = { readonly inputs: readonly Wire[]; readonly outputs: readonly Wire[]; readonly paths: readonly string[] };

/** The net's graph at one size of batch. */
function trace<N extends Module>(
  net: N,
  model: { readonly params: Params<N>; readonly state?: State<N> },
  given: readonly (readonly [string, OnnxInput])[],
  shapes: readonly Shape[],
  { after }: OnnxOptions,
): Trace {
  const b = new Builder();
  const known = new Map<Tensor, Wire>();
  const weights = (what: unknown) =>
    tree.mapWithPath((path, v: unknown) => {
      if (!(v instanceof Value)) return fail(`toOnnx: ${path} is ${v}, not a Value`);
      if (v.dtype !== "f32" && v.dtype !== "f64") fail(`toOnnx: ${path} is ${v}; parameters and state are floats`);
      const t = tensor(v.shape, v.dtype, path);
      known.set(t, b.weight(path, v));
      return t;
    }, what);
  const xs = given.map(([name, { dtype = "f32" }], k) => {
    const t = tensor(shapes[k]!, dtype, name);
    known.set(t, b.input(name, dtype, t.shape));
    return t;
  });
  const params = weights(model.params);
  const state = weights(model.state ?? {});
  const key = tensor([2], "u32", "key");
  const [y, next] = apply(net, { params, state }, xs, { key });
  const become = new Map(tree.paths<Tensor>(next));
  for (const [path, before] of tree.paths<Tensor>(state)) {
    if (become.get(path) !== before) {
      fail(`toOnnx: state ${path} changes in evaluation`, "an ONNX graph keeps nothing from one call to the next");
    }
  }
  const outputs = tree.paths<Tensor>(y);
  if (outputs.length === 0 || outputs.some(([, t]) => !(t instanceof Tensor))) fail("toOnnx: the net gives no Tensors");
  const roots = unify(outputs.map(([, t]) => (after ? after(t) : t)));
  for (const t of topo(roots)) {
    if (t.src.includes(key)) {
      fail(
        `toOnnx: the net draws random numbers in evaluation, at ${t.origin}`,
        "what is drawn in training alone, as by dropout, has to ask { training } of the context",
      );
    }
    if (t.op === "input") continue;
    b.origin = t.origin;
    known.set(
      t,
      rows[t.op](
        b,
        t,
        t.src.map((s) => known.get(s)!),
        known,
      ),
    );
  }
  return {
    inputs: xs.map((x) => known.get(x)!),
    outputs: roots.map((r) => known.get(r)!),
    paths: outputs.map(([path]) => (path === "" ? "output" : path)),
  };
}
