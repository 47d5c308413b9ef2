/**
 * What a net learns from or is measured on: numbers that lie where the program is, and how the examples of some row
 * numbers are made of them inside it. Rows of a table are gathered; windows of a text are cut out of it at the places
 * that the rows say, so that a text of n tokens is n numbers and not n windows.
 */
import type { DType } from "../ir/dtype.ts";
import { fail, shown } from "../ir/fail.ts";
import { iota, type Tensor } from "../ir/tensor.ts";
import { Value } from "../ir/value.ts";
import type * as tree from "../tree.ts";

/** An answer for each row: axis 0 of both. */
export type Pairs = { readonly x: Value; readonly y: Value };

/** Numbers by name, as they lie in memory. */
export type Resident = Readonly<Record<string, Value>>;
type Traced = tree.Mapped<Resident, Value, Tensor>;

/** Examples of any making, such as `windows` gives. */
export type Examples = {
  readonly rows: number;
  readonly resident: Resident;
  /**
   * Inside the program: the examples of these rows, i32[b], or of all of them.
   * → x and y, axis 0 the rows. Their shapes depend on b alone.
   */
  readonly batch: (resident: Traced, rows?: Tensor) => { readonly x: Tensor; readonly y: Tensor };
  /** All answers, for metrics. */
  readonly answers: () => Value;
  /** What is made of the numbers, in a few words: a run goes on only where this is the same. Empty for plain rows. */
  readonly about: string;
};

export type Data = Pairs | Examples;

export const examplesOf = (data: Data): Examples => ("batch" in data ? data : fromPairs(data));

const fromPairs = ({ x, y }: Pairs): Examples => ({
  rows: x.shape[0] ?? 0,
  resident: { x, y },
  batch: ({ x, y }, rows) => (rows ? { x: x!.gather(rows), y: y!.gather(rows) } : { x: x!, y: y! }),
  answers: () => y,
  about: "",
});

export type WindowOptions = {
  /** Tokens that the net sees at once. */
  readonly context: number;
  /**
   * Tokens from the beginning of a window to that of the next; 1 unless given, which is every window there is. As many
   * as the context show every token once: what one wants for validation.
   */
  readonly stride?: number;
};

/**
 * Windows of a text, to learn what comes next: row r has the tokens from r · stride on as x, and those one place later
 * as y.   tokens: i32[n] → x, y: i32[b, context]
 *
 * An epoch is a pass over all windows, and with stride 1 sees every token `context` times: say `steps` for how long to
 * train. Tokens at the end that fill no window are left out. Throws where there is not one window.
 */
export function windows(tokens: Value, options: WindowOptions): Examples {
  const integers: readonly DType[] = ["i32", "u32"];
  if (!(tokens instanceof Value) || !integers.includes(tokens.dtype) || tokens.shape.length !== 1) {
    fail(
      `windows: the tokens are ${shown(tokens)}; they must be integers in a row, i32[n]`,
      'value([tokens.length], tokens, "i32")',
    );
  }
  if (typeof options !== "object" || options === null) {
    fail(`windows: expected an object of options, got ${shown(options)}`, "windows(tokens, { context: 64 })");
  }
  const { context, stride = 1 } = options;
  for (const [name, n] of Object.entries({ context, stride })) {
    if (!Number.isInteger(n) || n < 1) fail(`windows: ${name} must be a whole number from 1, got ${n}`);
  }
  const n = tokens.data.length;
  if (n < context + 1) {
    fail(
      `windows: ${n} tokens are too few for a context of ${context}: one window takes ${context + 1}, the last of them only to be guessed`,
      "use a smaller context, or a longer text",
    );
  }
  const rows = Math.floor((n - context - 1) / stride) + 1;
  return {
    rows,
    resident: { tokens },
    batch({ tokens }, chosen = iota(rows)) {
      const at = chosen.mul(stride).unsqueeze(1).add(iota(context));
      return { x: tokens!.gather(at), y: tokens!.gather(at.add(1)) };
    },
    answers() {
      const y = new Int32Array(rows * context);
      for (let r = 0; r < rows; r++) {
        for (let t = 0; t < context; t++) y[r * context + t] = tokens.data[r * stride + t + 1]!;
      }
      return new Value("i32", [rows, context], y);
    },
    about: `windows of ${context}, stride ${stride}`,
  };
}
