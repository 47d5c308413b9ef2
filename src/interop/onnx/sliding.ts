/**
 * Convolutions and pools: reductions over windows. A tensor is followed down through whatever movement made windows of
 * it, with each of its axes as a linear form of the axes of the reduction; a spatial axis is then
 * stride · place + dilation · tap − padding, and what ONNX wants to know can be read off.
 */
import { Expr, fresh, linear } from "../../ir/expr.ts";
import { isMovement, movement } from "../../ir/ops.ts";
import { type Shape, size } from "../../ir/shape.ts";
import { constant, type Tensor } from "../../ir/tensor.ts";
import type { Builder } from "./builder.ts";
import type { Translated } from "./ops.ts";
import type { Attributes, Wire } from "./wire.ts";

/** constant + Σ coefficient · axis of the reduction. */
type Form = NonNullable<ReturnType<typeof linear>>;
type Reach = { readonly tensor: Tensor; readonly forms: readonly Form[] };

/** The axes of what is reduced, by their names in forms. */
type Reduction = { readonly full: Shape; readonly over: ReadonlySet<string> };

/** How windows slide along one axis. */
type Sliding = {
  readonly place: string | undefined;
  readonly tap: string | undefined;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly after: number;
};

const reductionOf = (t: Tensor): Reduction => ({
  full: t.src[0]!.shape,
  over: new Set((t.arg as readonly number[]).map(String)),
});

/** Every tensor below `outside` that movement leads to, outermost first; one layer of padding may lie on the way. */
function* reaches(outside: Tensor, full: Shape, outsideValue: number): Generator<Reach> {
  let t = outside;
  let at = full.map((n, k) => Expr.index(`${k}`, n));
  for (let padded = false; ; ) {
    const forms = at.map(linear);
    if (forms.every((f) => f !== undefined)) yield { tensor: t, forms };
    const pad = padding(t, outsideValue);
    if (padded || !(pad || isMovement(t.op) || t.op === "detach")) return;
    if (pad) padded = true;
    const step = pad ?? t;
    if (step.op !== "detach") {
      const moved = movement[step.op as "pad"].index(at, step.arg as never, step.src[0]!.shape);
      if (!pad && moved.inside && !moved.inside.const) return;
      at = moved.at;
    }
    t = step.src[0]!;
  }
}

/** The padding that t is: zeros by itself, another value where a mask of the same padding chooses it. */
function padding(t: Tensor, value: number): Tensor | undefined {
  if (value === 0) return t.op === "pad" ? t : undefined;
  if (t.op !== "where" || constant(t.src[2]!) !== value || t.src[1]!.op !== "pad") return undefined;
  let mask = t.src[0]!;
  while (mask.op === "expand") mask = mask.src[0]!;
  const pad = t.src[1]!;
  const masks = mask.op === "pad" && constant(mask.src[0]!) === 1 && `${mask.arg}` === `${pad.arg}`;
  return masks ? pad : undefined;
}

/** The windows of one axis of n elements. Undefined where the form is of another kind, or ONNX would count others. */
function sliding(form: Form, n: number, { full, over }: Reduction): Sliding | undefined {
  const names = [...form.of.keys()];
  const taps = names.filter((v) => over.has(v));
  const places = names.filter((v) => !over.has(v));
  if (taps.length > 1 || places.length > 1 || form.constant > 0) return undefined;
  const [tap, place] = [taps[0], places[0]];
  const length = (v: string | undefined) => (v === undefined ? 1 : full[Number(v)]!);
  const step = (v: string | undefined) => (v === undefined ? 1 : form.of.get(v)!);
  const dilation = step(tap);
  const span = dilation * (length(tap) - 1) + 1;
  const before = 0 - form.constant;
  if (dilation < 1 || step(place) < 1) return undefined;
  const end = (length(place) - 1) * step(place) + span - before; // of what is read
  const after = Math.max(0, end - n);
  const stride = place === undefined ? Math.max(1, before + n + after - span + 1) : step(place);
  if (Math.floor((before + n + after - span) / stride) + 1 !== length(place)) return undefined;
  return { place, tap, kernel: length(tap), stride, dilation, before, after };
}

const attributesOf = (along: readonly Sliding[]): Attributes => ({
  kernel_shape: along.map((s) => s.kernel),
  strides: along.map((s) => s.stride),
  dilations: along.map((s) => s.dilation),
  pads: [...along.map((s) => s.before), ...along.map((s) => s.after)],
});

/** The one axis that a form is, with nothing added; "" for an axis of length 1 that is none. */
function sole(form: Form): string | undefined {
  if (form.constant !== 0 || form.of.size > 1) return undefined;
  const [only] = form.of;
  return only ? (only[1] === 1 ? only[0] : undefined) : "";
}

/** Whether names of axes, "" aside, come in rising order: then the result lies as ONNX gives it. */
const rising = (names: readonly (string | undefined)[]): boolean =>
  names.filter(Boolean).every((v, k, all) => k === 0 || Number(v) > Number(all[k - 1]));

// ---- convolution -------------------------------------------------------------------------------------------------------

/** The wire of t = Σ windows · weight where that is a convolution, undefined elsewhere. */
export const convolution = (b: Builder, t: Tensor, known: Translated): Wire | undefined =>
  fresh(() => {
    const x = t.src[0]!;
    if (x.op !== "mul" || t.dtype !== "f32" || size(x.shape) === 0) return undefined;
    const [p, q] = x.src as [Tensor, Tensor];
    return convolved(b, t, p, q, known) ?? convolved(b, t, q, p, known);
  });

function convolved(b: Builder, t: Tensor, windows: Tensor, filters: Tensor, known: Translated): Wire | undefined {
  const reduction = reductionOf(t);
  const { full } = reduction;
  // A weight is what movement has come from: one that only looks like [o, c, 1] belongs to a matrix product.
  const weight = [...reaches(filters, full, 0)].at(-1);
  if (!weight || weight.tensor.rank < 3) return undefined;
  let found: { data: Reach; along: readonly Sliding[]; groups: number } | undefined;
  for (const data of reaches(windows, full, 0)) {
    const fit = fitting(data, weight, reduction);
    if (fit) found = { data, ...fit };
  }
  if (!found) return undefined;
  const { data, along, groups } = found;
  const [x, w] = [known.get(data.tensor), known.get(weight.tensor)] as const;
  if (!x || !w) return undefined;
  const length = (v: string | undefined) => (v === undefined ? 1 : full[Number(v)]!);
  const shape = [x.shape[0]!, w.shape[0]!, ...along.map((s) => length(s.place))];
  return b.reshape(b.node("Conv", [x, w], { ...attributesOf(along), group: groups }, "f32", shape), t.shape);
}

/** Data [n, c, ..s] and weight [o, c / groups, ..k] as ONNX has them. */
function fitting(data: Reach, weight: Reach, reduction: Reduction) {
  const { full, over } = reduction;
  const [x, w] = [data.tensor.shape, weight.tensor.shape];
  if (x.length !== w.length || constant(data.tensor) !== undefined) return undefined;
  const length = (v: string | undefined) => (v ? full[Number(v)]! : 1);
  const n = sole(data.forms[0]!);
  const part = sole(weight.forms[1]!); // the channels that are summed
  if (n === undefined || part === undefined || over.has(n) || (part !== "" && !over.has(part))) return undefined;

  const along = data.forms.slice(2).map((form, k) => sliding(form, x[k + 2]!, reduction));
  if (!along.every((s) => s !== undefined)) return undefined;
  const taps = weight.forms.slice(2).map(sole);
  if (along.some((s, k) => (s.tap ?? "") !== taps[k] || s.kernel !== w[k + 2])) return undefined;

  // channel = group · (c / groups) + part, filter = group · (o / groups) + own
  const channel = new Map(data.forms[1]!.of);
  const filter = new Map(weight.forms[0]!.of);
  const shared = [...filter.keys()].filter((v) => channel.has(v));
  const [group] = shared;
  const rest = (form: Map<string, number>, v: string) => [...form.keys()].filter((u) => u !== group && u !== v);
  const own = rest(filter, "")[0] ?? "";
  const sizes = [length(group), length(part), length(own)] as const;
  if (shared.length > 1 || rest(channel, part).length > 0 || rest(filter, own).length > 0) return undefined;
  if (data.forms[1]!.constant !== 0 || weight.forms[0]!.constant !== 0) return undefined;
  const stepsOf = (form: Map<string, number>, inner: string, step: number) =>
    (inner === "" || form.get(inner) === 1) && (!group || form.get(group) === step);
  if (!stepsOf(channel, part, sizes[1]) || !stepsOf(filter, own, sizes[2])) return undefined;
  if (x[0] !== length(n) || x[1] !== sizes[0] * sizes[1] || w[1] !== sizes[1] || w[0] !== sizes[0] * sizes[2])
    return undefined;

  const summed = [part, ...taps].filter(Boolean);
  const free = [n, group ?? "", own, ...along.map((s) => s.place)];
  const named = [...summed, ...free.filter(Boolean)];
  const all = full.flatMap((m, k) => (m === 1 ? [] : [`${k}`]));
  const complete = named.length === all.length && all.every((v) => named.includes(v));
  const right = [...over].every((v) => summed.includes(v)) && rising(free);
  return complete && right ? { along, groups: sizes[0] } : undefined;
}

// ---- pools ---------------------------------------------------------------------------------------------------------------

/** The largest, or Σ as the mean times their number, of each window of [n, c, ..s]. */
export const pool = (b: Builder, t: Tensor, known: Translated): Wire | undefined =>
  fresh(() => {
    const x = t.src[0]!;
    const mean = t.op === "sum";
    if (!(t.dtype === "f32" || (t.dtype === "f64" && !mean)) || size(x.shape) === 0) return undefined;
    const reduction = reductionOf(t);
    let found: { tensor: Tensor; along: readonly Sliding[] } | undefined;
    for (const reach of reaches(x, x.shape, mean ? 0 : Number.NEGATIVE_INFINITY)) {
      const along = pooled(reach, reduction);
      if (along) found = { tensor: reach.tensor, along };
    }
    const from = found && known.get(found.tensor);
    if (!found || !from) return undefined;
    const { along } = found;
    const slides = (s: Sliding, n: number) => (s.tap ? s.kernel !== n : s.stride !== 1) || s.before + s.after > 0;
    if (!along.some((s, k) => slides(s, from.shape[k + 2]!))) {
      const over = along.flatMap((s, k) => (s.tap === undefined ? [] : [k + 2]));
      return b.reshape(b.reduce(mean ? "ReduceSum" : "ReduceMax", from, over), t.shape);
    }
    if (mean && along.some((s) => s.dilation > 1)) return undefined; // not before opset 19
    if (along.some((s) => Math.max(s.before, s.after) >= s.kernel)) return undefined; // a window of padding alone
    const places = along.map((s) => (s.place === undefined ? 1 : x.shape[Number(s.place)]!));
    const shape = [...from.shape.slice(0, 2), ...places];
    const { dilations, ...attributes } = attributesOf(along);
    if (!mean)
      return b.reshape(b.node("MaxPool", [from], { ...attributes, dilations: dilations! }, t.dtype, shape), t.shape);
    const count = b.scalar(size(along.map((s) => s.kernel)), t.dtype);
    const y = b.node("AveragePool", [from], { ...attributes, count_include_pad: 1 }, t.dtype, shape);
    return b.reshape(b.elementwise("Mul", [y, count]), t.shape);
  });

function pooled({ tensor, forms }: Reach, reduction: Reduction): readonly Sliding[] | undefined {
  const { full, over } = reduction;
  if (tensor.rank < 3 || constant(tensor) !== undefined) return undefined;
  const outer = forms.slice(0, 2).map(sole);
  if (outer.some((v, k) => v === undefined || over.has(v) || (v === "" ? 1 : full[Number(v)]) !== tensor.shape[k]))
    return undefined;
  const along = forms.slice(2).map((form, k) => sliding(form, tensor.shape[k + 2]!, reduction));
  if (!along.every((s) => s !== undefined)) return undefined;
  const taps = along.map((s) => s.tap);
  const free = [...outer, ...along.map((s) => s.place)];
  const all = full.flatMap((m, k) => (m === 1 ? [] : [`${k}`]));
  const complete = all.every((v) => taps.includes(v) || free.includes(v)) && [...over].every((v) => taps.includes(v));
  return complete && rising(free) ? along : undefined;
}
