/**
 * The library of kernels: one C object per machine and dtype, in several units that are compiled side by side. Programs
 * declare what they call of it and find it when they are loaded.
 */
import { copyKernel, dotKernel, dotShapes, type Kernel, pickKernel, transposeKernel } from "./kernels.ts";
import { tileKernel, tileKinds, tileShapes, widest } from "./tile-kernels.ts";
import { type Vector, vector, vectorPrelude } from "./vector.ts";

/** Whether a text calls kernels of a dtype. */
export const callsKernels = (text: string, dtype: "f32" | "f64", lanes: number) =>
  text.includes(`dh_${vector(dtype, lanes).tag}_`);

function kernels(v: Vector, lanes: number): Kernel[] {
  const all = [
    ...tileShapes(lanes).flatMap((shape) => tileKinds(lanes, shape).map((kind) => tileKernel(v, shape, kind))),
    ...dotShapes(lanes).map((shape) => dotKernel(v, shape)),
    ...Array.from({ length: widest }, (_, i) => [copyKernel(v, i + 1, false), copyKernel(v, i + 1, true)]).flat(),
    transposeKernel(v),
    pickKernel(v),
  ];
  return [...new Map(all.map((k) => [k.name, k])).values()];
}

/**
 * The text of one dtype's library for a machine of so many f32 lanes, as units of about the same length; of `calls`, where
 * it is given, only the kernels that this text calls. Empty where it calls none.
 */
export function kernelLibrary(dtype: "f32" | "f64", lanes: number, units: number, calls?: string): string[] {
  const parts = Array.from({ length: units }, () => ({ size: 0, texts: [vectorPrelude(lanes)] }));
  const called = new Set(calls?.match(/\bdh_f\d+x\d+_\w+/g));
  for (const { name, text } of kernels(vector(dtype, lanes), lanes)) {
    if (calls !== undefined && !called.has(name)) continue;
    const part = parts.reduce((least, p) => (p.size < least.size ? p : least));
    part.size += text.length;
    part.texts.push(text);
  }
  return parts.filter((p) => p.size > 0).map((p) => p.texts.join("\n"));
}
