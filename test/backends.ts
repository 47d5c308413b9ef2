/** The backends that this machine has; what is skipped is said. */
import type { BackendName } from "../src/run/backend.ts";
import { selectBackend } from "../src/run/select.ts";

const { backend, note } = await selectBackend("auto");
if (note) console.warn(`native tests are skipped: ${note}`);

export const hasNative = backend.name === "native";
export const backends: readonly BackendName[] = hasNative ? ["js", "native"] : ["js"];
