/** Files of other tools, in and out: state dicts of PyTorch, arrays of NumPy. Safetensors are in `downhill/train`. */
export { readNpy, writeNpy } from "./npy.ts";
export { type NpzOptions, readNpz, writeNpz } from "./npz.ts";
export { type FromStateDictOptions, fromStateDict, type ToStateDictOptions, toStateDict } from "./state-dict.ts";
