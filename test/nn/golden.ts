/**
 * The cases of test/golden/layers: layers with PyTorch's numbers (scripts/golden/layers.py has the recorder that writes
 * them). Each file is an array of cases:
 *
 *   layer, args  what to build: nn[layer](...args). Where args is left out, the exported function is the layer itself,
 *                and an argument that has the form { layer, args } is built in the same way
 *   name         what is special about the case
 *   training     the mode; a step may have its own
 *   params       first numbers by their path in the tree: { "weight": { shape, data }, .. }, all of them; never updated
 *   state        the same for the state, which is carried on from step to step
 *   steps        inputs       [{ shape, data, dtype? }]: f64 (f32 in the native run) unless dtype is "i32" or "bool"
 *                cotangents   one per output, what Σ output · cotangent is differentiated; null leaves an output out
 *                outputs      [{ shape, data }]
 *                gradients    { inputs: [data, or null where none is compared], params: { path: data } }
 *                state        { path: data } after the step
 *
 * Data is flat, row-major.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { DType } from "../../src/ir/dtype.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import * as nn from "../../src/nn/index.ts";
import { type Module, module } from "../../src/nn/module.ts";
import * as tree from "../../src/tree.ts";

export type Data = readonly number[];
export type Numbers = { readonly shape: readonly number[]; readonly data: Data; readonly dtype?: DType };
type Spec = { readonly layer: string; readonly args?: readonly unknown[] };
type Step = {
  readonly training?: boolean;
  readonly inputs: readonly Numbers[];
  readonly cotangents: readonly (Numbers | null)[];
  readonly outputs: readonly Numbers[];
  readonly gradients: { readonly inputs: readonly (Data | null)[]; readonly params: Record<string, Data> };
  readonly state?: Record<string, Data>;
};
export type Case = Spec & {
  readonly name: string;
  readonly training?: boolean;
  readonly params?: Record<string, Numbers>;
  readonly state?: Record<string, Numbers>;
  readonly steps: readonly Step[];
};

const folder = join(import.meta.dirname, "../golden/layers");
export const families = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => ({
    family: file.replace(".json", ""),
    cases: JSON.parse(readFileSync(join(folder, file), "utf8")) as readonly Case[],
  }));

/** What a spec names. */
function build({ layer, args }: Spec): unknown {
  const made = (nn as Record<string, unknown>)[layer];
  if (typeof made !== "function") throw new Error(`src/nn exports no layer ${layer}`);
  return args ? made(...args.map(argument)) : made;
}

function argument(x: unknown): unknown {
  if (!tree.isBranch(x)) return x;
  if ("layer" in x) return build(x as Spec);
  return Array.isArray(x) ? x.map(argument) : Object.fromEntries(Object.entries(x).map(([k, v]) => [k, argument(v)]));
}

/** A layer that is a function stands in a module, as it does in a network. */
export function network(spec: Spec): Module {
  const made = build(spec);
  return typeof made === "function"
    ? module({ f: made as (...xs: Tensor[]) => Tensor }, (m, x, _, ...more: Tensor[]) => m.f(x, ...more))
    : (made as Module);
}

/** The tree of a module with the case's numbers. Throws where their paths differ. */
export function filled(shape: unknown, given: Record<string, Numbers> = {}, float: "f32" | "f64"): any {
  const paths = tree.paths(shape).map(([path]) => path);
  expect(Object.keys(given).sort()).toEqual(paths.sort());
  return tree.mapWithPath((path) => held(given[path]!, float), shape);
}

export const held = ({ shape, data, dtype }: Numbers, float: DType): Value =>
  value(shape, data, dtype && dtype !== "f64" ? dtype : float);
