/** The JavaScript backend: the reference, and what works everywhere. */
import type { Program } from "../compile/program.ts";
import { loadJs, printJs } from "../print/js.ts";
import type { Backend, Executable, Memory, Places } from "./backend.ts";

function allocate(bytes: number): Memory {
  const buffer = new ArrayBuffer(bytes);
  return {
    buffer,
    bytes,
    write: (at, { buffer: from, byteOffset, byteLength }) =>
      new Uint8Array(buffer, at, byteLength).set(new Uint8Array(from, byteOffset, byteLength)),
  };
}

export const jsBackend: Backend = {
  name: "js",
  about: "JavaScript",
  banded: false,
  allocate,
  load(program: Program): Executable {
    const start = performance.now();
    const source = printJs(program);
    const call = loadJs(source);
    const buffers = (memories: readonly Memory[]) => memories.map((m) => m.buffer);
    return {
      source,
      compileMs: performance.now() - start,
      cached: false,
      bytes: program.temporaryBytes,
      run: ({ state, workspace, resident, feeds, outputs }: Places, steps) =>
        call(
          {
            state: state.buffer,
            arena: workspace.buffer,
            resident: buffers(resident),
            feeds: buffers(feeds),
            outputs: buffers(outputs),
          },
          steps,
        ),
      stop: () => {}, // a call holds the only thread, so nobody could ask
    };
  },
};
