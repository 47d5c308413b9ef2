/**
 * What a step looks for among its feeds in vain. No type is checked where somebody writes JavaScript: a feed that a call
 * lacks is undefined in the step, which fails over that at some place or other, and what it says there helps nobody.
 */
import { fail } from "../ir/fail.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import * as tree from "../tree.ts";

/** The same tree, and the paths of what has been read of it and is not there. */
export function noting<T>(fed: T): { readonly fed: T; readonly missing: ReadonlySet<string> } {
  const missing = new Set<string>();
  // any: a branch of T, which the walk cannot know.
  const note = (path: string, x: unknown): any => {
    if (!tree.isBranch(x)) return x;
    const below = (name: string) => (path ? `${path}.${name}` : name);
    const branch = Array.isArray(x)
      ? x.map((leaf, k) => note(below(`${k}`), leaf))
      : Object.fromEntries(Object.entries(x).map(([name, leaf]) => [name, note(below(name), leaf)]));
    return new Proxy(branch, {
      get(all, name) {
        if (typeof name === "string" && !(name in all)) missing.add(below(name));
        return Reflect.get(all, name);
      },
    });
  };
  return { fed: note("", fed), missing };
}

/**
 * Throws what a step has thrown, and where it failed over something undefined and feeds were missing, what those are.
 * `earlier`: inputs of calls that had them.
 */
export function blame(
  error: unknown,
  missing: ReadonlySet<string>,
  feeds: readonly Value[],
  earlier: readonly Tensor[],
): never {
  const reason = error instanceof Error ? error.message.split("\n")[0]! : "";
  const [name] = missing;
  if (name === undefined || !reason.includes("undefined")) throw error;
  const steps = feeds[0]?.shape[0] ?? "steps";
  const known = earlier.find((t) => t.arg === name || `${t.arg}`.startsWith(`${name}.`));
  const shape = [steps, ...(known?.shape ?? ["…"])].join(", ");
  const example = `${known?.arg ?? name}: value([${shape}], numbers${known && known.dtype !== "f32" ? `, "${known.dtype}"` : ""})`;
  fail(
    `run: the step reads ${missing.size > 1 ? "feeds" : "feed"} ${[...missing].join(", ")}, which this call has not: ${reason}`,
    known ? `calls before had ${example}` : `give it to take, such as ${example}, with an axis of the steps in front`,
  );
}
