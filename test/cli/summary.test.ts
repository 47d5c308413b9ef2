/** Numbers as text, intervals, and the summary of many classes. */
import { createColors } from "picocolors";
import { describe, expect, test } from "vitest";
import { recipe, validationShare } from "../../src/cli/recipe.ts";
import { interval, type Score, score } from "../../src/cli/score.ts";
import { headline, scoreText, warningText } from "../../src/cli/summary.ts";
import { bytes, columns, counted, duration, shellWord, significant, stem, wrapped } from "../../src/cli/text.ts";
import { ClassTarget, NumberTarget } from "../../src/data/target.ts";
import { value } from "../../src/ir/value.ts";

const plain = createColors(false);

describe("text", () => {
  test.each([
    [significant(0.123456), "0.1235"],
    [significant(12345.6), "12,346"],
    [significant(0.00001234), "1.234e-5"],
    [significant(0), "0"],
    [counted(1, "row"), "1 row"],
    [counted(4601, "row"), "4,601 rows"],
    [duration(0.84), "0.8 s"],
    [duration(42.4), "42 s"],
    [duration(185), "3 min 5 s"],
    [duration(7800), "2 h 10 min"],
    [bytes(21_040_000), "21.0 MB"],
    [stem("data/mail.csv.gz"), "mail"],
    [shellWord("runs/mail-1"), "runs/mail-1"],
    [shellWord("it's"), `'it'\\''s'`],
    [wrapped("aa bb cc", 5, "  "), "aa bb\n  cc"],
    [
      columns([
        ["a", "10"],
        ["bbb", "2"],
      ]).join("|"),
      "a    10|bbb   2",
    ],
  ])("%s", (got, wanted) => expect(got).toBe(wanted));
});

// Wilson's interval of 8 in 10 and of 0 in 10 with z = 1.96, from R: prop.test(8, 10, correct = FALSE), prop.test(0, 10, …).
test("the interval of a share", () => {
  const [low, high] = interval(8, 10);
  expect(low).toBeCloseTo(0.4902, 3);
  expect(high).toBeCloseTo(0.9433, 3);
  expect(interval(0, 10)[0]).toBeCloseTo(0, 12);
  expect(interval(0, 10)[1]).toBeCloseTo(0.2775, 3);
});

describe("a score", () => {
  test("of many classes names the worst pairs instead of a matrix", () => {
    const k = 20;
    const target = new ClassTarget(
      "letter",
      Array.from({ length: k }, (_, c) => `L${c}`),
    );
    const truth = value(
      [60],
      Int32Array.from({ length: 60 }, (_, i) => i % k),
      "i32",
    );
    const logits = new Float32Array(60 * k);
    truth.data.forEach((c, i) => (logits[i * k + (c === 7 ? 3 : c)] = 5)); // every 7 is taken for a 3
    const found = score(target, value([60, k], logits), truth);
    expect(found).toMatchObject({ accuracy: 0.95, right: 57 });
    const text = scoreText(target, found, plain);
    expect(text).toContain("L7 taken for L3  3 times");
    expect(text).not.toContain("is \\ said");
    expect(headline(found, "held-out")).toMatch(/^held-out accuracy 0\.9500: 57 of 60 right/);
  });

  test("of a quantity is in its own unit", () => {
    const target = new NumberTarget("price", 100, 10);
    const found = score(target, value([2, 1], [0, 1]), value([2, 1], [0.5, 1]));
    expect(found).toMatchObject({ rmse: expect.closeTo(Math.sqrt(12.5)), mae: expect.closeTo(2.5) });
  });

  test("that is not finite is refused", () => {
    const target = new NumberTarget("price", 100, 10);
    expect(() => score(target, value([2, 1], [NaN, 1]), value([2, 1], [0.5, 1]))).toThrow(/loss on 2 rows is NaN/);
  });

  test("the matrix marks what is right, whatever the widths", () => {
    const target = new ClassTarget("kind", ["a", "b"]);
    const found: Score = score(target, value([4, 1], [-1, 1, 1, 1]), value([4, 1], [0, 0, 1, 1]));
    const text = scoreText(target, found, { ...plain, bold: (x) => `<${x}>` });
    expect(text).toContain("a          <1>  1\n");
    expect(text).toContain("b          0  <2>\n");
  });
});

test("several columns of one kind are one warning", () => {
  const warnings = ["a", "b", "c"].map((column) => ({
    kind: "heavy-tail" as const,
    column,
    message: column,
    evidence: {},
  }));
  expect(warningText(warnings, plain)).toContain("3 columns have heavy tails");
  const target = { kind: "heavy-tail" as const, message: "target", evidence: {} }; // of no column: on its own
  expect(warningText([target, ...warnings], plain)).toMatch(/^ {2}! target\n {2}! 3 columns.*: a, b, c\.\n$/);
  expect(warningText(warnings.slice(0, 2), plain)).toBe("  ! a\n  ! b\n");
});

describe("defaults", () => {
  const shape = { task: "binary", rows: 3200, features: 57, classes: 2, watched: true } as const;

  test("few rows are not watched; the others leave whole batches", () => {
    expect(validationShare(500, 0.2, undefined)).toBe(0);
    const validation = Math.round(4601 * validationShare(4601, 0.2, undefined));
    expect((4601 - 920 - validation) % 64).toBe(0);
    expect(validation).toBeGreaterThanOrEqual(460);
  });

  test("wishes are kept, the rest is filled in", () => {
    expect(recipe(shape, { lr: 0.5, hidden: [3], batch: "full", epochs: 7 })).toMatchObject({
      lr: 0.5,
      hidden: [3],
      batch: 3200,
      epochs: 7,
      optimizer: "adamW",
      dropout: 0.2,
    });
  });

  test("updates do not grow with the rows without end", () => {
    const big = recipe({ ...shape, rows: 1_000_000 }, {});
    expect(big.epochs * Math.ceil(1_000_000 / big.batch)).toBeLessThan(20_000);
  });
});
