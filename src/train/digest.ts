/** Data in a few characters: what a resumed run is compared by. */
import type { Value } from "../ir/value.ts";
import { type Data, examplesOf } from "./examples.ts";

/** Shapes and a hash of the bytes, FNV-1a over words: enough to notice that a run is resumed on other data. */
export function digest(data: Data): string {
  const { resident, about } = examplesOf(data);
  const hash = ({ data }: Value) => {
    const words = data.byteLength % 4 === 0 && data.byteOffset % 4 === 0;
    const bits = words
      ? new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    let h = 0x811c9dc5;
    for (const w of bits) h = Math.imul(h ^ w, 0x01000193);
    return (h >>> 0).toString(16).padStart(8, "0");
  };
  const parts = Object.entries(resident).map(([name, v]) => `${name} ${v} #${hash(v)}`);
  return [...parts, ...(about ? [about] : [])].join(", ");
}
