/** Options by name: in plain JavaScript a name that nobody knows would otherwise be left out of account, unseen. */
import { fail, shown } from "./fail.ts";

/**
 * Throws unless `options` is an object with these names alone, or left out. Checked before it is taken apart, where a
 * number in its place, such as PyTorch's stride, would look like an object without options.
 */
export function checkOptions<Options>(
  what: string,
  options: Options | undefined,
  known: readonly (keyof Options & string)[],
): void {
  if (options === undefined) return;
  const takes = `it takes ${known.join(", ")}`;
  const proto = typeof options === "object" && options !== null ? Object.getPrototypeOf(options) : undefined;
  if (proto !== Object.prototype && proto !== null) {
    fail(`${what}: options are an object, got ${shown(options)}`, takes);
  }
  for (const name of Object.keys(options as object)) {
    if (!(known as readonly string[]).includes(name)) fail(`${what}: there is no option ${name}`, takes);
  }
}
