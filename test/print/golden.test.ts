/**
 * A dozen programs as text, in C (16 lanes) and JavaScript: a change of the compiler shows here what it does, or that
 * it does nothing. After a change that is meant: remove test/print/golden/*, run this file, and read the difference.
 */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/compile.ts";
import type { Buffer, Contraction, Program } from "../../src/compile/program.ts";
import { printC } from "../../src/print/c.ts";
import { printJs } from "../../src/print/js.ts";
import { programs } from "./programs.ts";

/** How many terms each sum has. */
const terms = (k: Contraction) => k.sum.map(({ n }) => n).join("·");

/** What the text does not say: memory, and the shapes of matrix products, whose own text is test/print/c's affair. */
function summary(p: Program): string {
  const name = (b: Buffer) => `${b.role} ${b.at}`;
  const products = p.kernels.flatMap((k) =>
    k.kind === "contraction"
      ? [`${k.m}×${terms(k)} · ${terms(k)}×${k.n}: ${name(k.c.buffer)} = ${name(k.a.buffer)} · ${name(k.b.buffer)}`]
      : [],
  );
  return [
    `${p.stateBytes} bytes of state, ${p.temporaryBytes} of temporaries, ${p.kernels.length} kernels`,
    ...products,
  ]
    .map((line) => `// ${line}\n`)
    .join("");
}

/** Without the prelude of elementary functions. */
const own = (text: string) => text.slice(text.search(/^(static )?void dh_/m));

describe.each(Object.entries(programs))("%s", (name, trace) => {
  const program = compile(trace, { banded: true });
  test("C", async () => {
    const units = printC(program, 16).units.filter((u) => u.optimize !== "-O2"); // that is of products
    const text = `${summary(program)}${units.map((u) => own(u.text)).join("")}`;
    expect(text).not.toMatch(/undefined|NaN|\[object/);
    await expect(text).toMatchFileSnapshot(`golden/${name}.c`);
  });
  test("JavaScript", async () => {
    const text = `${summary(program)}${printJs(program)}\n`;
    expect(text).not.toMatch(/undefined|NaN|\[object/);
    await expect(text).toMatchFileSnapshot(`golden/${name}.js`);
  });
});
