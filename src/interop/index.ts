/** Files of other tools: arrays of NumPy. */
export { readNpy, writeNpy } from "./npy.ts";
export { type NpzOptions, readNpz, writeNpz } from "./npz.ts";
