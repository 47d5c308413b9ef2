/**
 * From a trace to what can be called. A backend that keeps what programs became is asked first, by all that decides which
 * program it is (compile/identity.ts). Where it knows it, nothing is compiled before somebody looks at the program itself.
 */
import { compile, type Trace } from "../compile/compile.ts";
import { identityOf, outlineOf } from "../compile/identity.ts";
import { inPrecision, type Precision } from "../compile/precision.ts";
import type { Check, Program } from "../compile/program.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Backend, Executable } from "./backend.ts";

export type Loaded = {
  readonly executable: Executable;
  readonly checks: readonly Check[];
  /** Resident behind the data, with their numbers. */
  readonly literals: readonly Tensor[];
  /** In the precision that was asked for. */
  readonly trace: () => Trace;
  readonly program: () => Program;
};

/** Throws what compile throws, and what the backend throws. */
export function load(traced: Trace, precision: Precision, backend: Backend, threads: number | undefined): Loaded {
  const trace = once(() => inPrecision(traced, precision));
  const program = once(() => compile(trace(), { banded: backend.banded }));
  const { recall } = backend.load;
  const identity = recall && identityOf(traced);
  if (!identity) {
    const { resident, checks } = program();
    const literals = resident.slice(traced.resident.length).map((b) => b.tensor);
    return { executable: backend.load(program(), threads), checks, literals, trace, program };
  }
  const { text, leaves } = identity;
  const name = `${precision} ${backend.banded} ${text}`;
  const { executable, outline } = recall({ name, program, outline: () => outlineOf(program(), leaves) }, threads);
  return {
    executable,
    checks: outline.checks.map((check) => ({ ...check, input: leaves[check.input]! })),
    literals: outline.literals.map((k) => leaves[k]!),
    trace,
    program,
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly it: T } | undefined;
  return () => {
    made ??= { it: make() };
    return made.it;
  };
}
