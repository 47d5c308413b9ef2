/** Pieces of C text that nests are put together from. */

export const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);

export const at = (index: string, stride: number) => (stride === 1 ? index : `${index} * ${stride}`);

/** `size` split into blocks of about `most` or less, as equal as multiples of `unit` allow. */
export function blocks(size: number, most: number, unit = 1): { size: number; count: number } {
  const even = Math.ceil(size / Math.ceil(size / most) / unit) * unit;
  return { size: even, count: Math.ceil(size / even) };
}

/** The size of the block that begins at `start`. */
export const least = (start: string, size: number, total: number) =>
  total % size === 0 ? `${size}` : `(${total} - ${start} < ${size} ? ${total} - ${start} : ${size})`;

export const loop = (name: string, end: number, step: number, body: readonly string[]) =>
  end === 0 ? [] : [`for (dh_long ${name} = 0; ${name} < ${end}; ${name} += ${step}) {`, ...indent(body), "}"];

/** Kernels are guarded by their names, which tell everything they depend on: printed more than once, compiled once. */
export const once = (name: string, lines: readonly string[]) =>
  `#ifndef HAS_${name}\n#define HAS_${name}\n${lines.join("\n")}\n#endif\n`;

/** A name that tells everything its kernel depends on. */
export const identifier = (...parts: (string | number)[]) => parts.join("_").replaceAll("-", "m");

/** What a form of the product needs: text before the function, its body, and places of scratch. */
export type Form = { readonly before: readonly string[]; readonly body: string; readonly scratch: number };
