/** What plain JavaScript hands over unseen by types: each mistake with the call as it should be. */
import { fail, shown } from "../ir/fail.ts";
import { Value } from "../ir/value.ts";
import type { Tensors } from "../train/safetensors.ts";

type Named = Readonly<Record<string, unknown>>;
export const isNamed = (x: unknown): x is Named => typeof x === "object" && x !== null && !Array.isArray(x);

export function requireObject(what: string, x: unknown, hint: string): void {
  if (!isNamed(x)) fail(`${what}: expected an object, got ${shown(x)}`, hint);
}

export function requireNet(what: string, net: unknown): void {
  if (isNamed(net) && net.kind === "module") return;
  fail(`${what}: expected a module, got ${shown(net)}`, "such as sequential(linear(3, 8), relu, linear(8, 2))");
}

export function requireParams(what: string, model: unknown, call: string): void {
  if (isNamed(model) && isNamed(model.params)) return;
  fail(
    `${what}: expected { params, state }, got ${shown(model)}`,
    `${call}, where init(net, seed) or fit gave the model`,
  );
}

export function requireValue(what: string, v: unknown): asserts v is Value {
  if (v instanceof Value) return;
  const shape =
    Array.isArray(v) && typeof v[0] === "number" ? `[${v.length}], [${v.slice(0, 2)}, …]` : "shape, numbers";
  fail(`${what}: expected a Value, numbers with a shape, got ${shown(v)}`, `value(${shape})`);
}

const isIterable = (x: unknown): x is Iterable<unknown> =>
  typeof x === "object" && x !== null && Symbol.iterator in x && !ArrayBuffer.isView(x);

/** Values by name: a Map or a list of pairs, an object, or what `readSafetensors` gives. Throws at anything else. */
export function tensorsIn(what: string, given: unknown, call: string): Tensors {
  const inner = isNamed(given) && given.tensors instanceof Map ? given.tensors : given;
  const pairs = isNamed(inner) && !(Symbol.iterator in inner) ? Object.entries(inner) : inner;
  const tensors = new Map<string, Value>();
  if (inner instanceof Value || !isIterable(pairs))
    return fail(`${what}: expected Values by name, got ${shown(given)}`, call);
  for (const pair of pairs) {
    if (!Array.isArray(pair) || typeof pair[0] !== "string") {
      return fail(`${what}: expected pairs of a name and a Value, got ${shown(pair)}`, call);
    }
    const [name, v] = pair;
    requireValue(`${what}: "${name}"`, v);
    if (tensors.has(name)) fail(`${what}: the name "${name}" occurs twice`);
    tensors.set(name, v);
  }
  return tensors;
}
