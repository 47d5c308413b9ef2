/** Which backend runs: the fastest that works on this machine, unless one is asked for by name. */
import { fail, shown } from "../ir/fail.ts";
import type { Backend, BackendName } from "./backend.ts";
import { jsBackend } from "./js.ts";

export type Selected = {
  readonly backend: Backend;
  /** Why a faster one was not taken, and what to do about it; one line. */
  readonly note?: string;
};

export const backendNames: readonly BackendName[] = ["native", "js"];

let selected: Promise<Selected> | undefined;

/** From now on that is the fastest one: a profiler's, which stands for the backend it watches. */
export function automatically(backend: Backend): void {
  selected = Promise.resolve({ backend });
}

/** Throws where the named backend cannot work here. */
export async function selectBackend(name: BackendName | "auto" = "auto"): Promise<Selected> {
  if (name === "auto") {
    selected ??= automatic();
    return selected;
  }
  if (name === "js") return { backend: jsBackend };
  if (name !== "native")
    fail(
      typeof name === "string"
        ? `backend: there is no "${name}"`
        : `backend: expected a name or a Backend, got ${shown(name)}`,
      `choose one of: auto, ${backendNames.join(", ")}`,
    );
  const found = await native();
  return "note" in found ? fail(`backend native: ${found.note}`) : found;
}

async function automatic(): Promise<Selected> {
  const found = await native();
  return "note" in found
    ? { backend: jsBackend, note: `running on plain JavaScript, which is slow: ${found.note}` }
    : found;
}

/** Loaded when asked for, so that a browser never sees a module of Node's. */
async function native(): Promise<{ readonly backend: Backend } | { readonly note: string }> {
  if (typeof process !== "object" || !process.versions?.node) return { note: "native code needs Node" };
  const [{ probeCompiler }, { nativeBackend }] = await Promise.all([
    import("./native/compiler.ts"),
    import("./native/backend.ts"),
  ]);
  const compiler = probeCompiler();
  return compiler.found ? { backend: nativeBackend(compiler) } : { note: `${compiler.reason}; ${compiler.remedy}` };
}
