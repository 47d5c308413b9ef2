/**
 * Train, validation and test rows: drawn by seed, so a file sorted by class splits as well as a shuffled one, and, when
 * stratified, with every class's proportional share in each part.
 */
import { fail, shown } from "../ir/fail.ts";
import { foldIn, key, shuffled } from "../random.ts";
import { isList, requireCount, requireOptions } from "./given.ts";

export type SplitOptions = {
  readonly seed: number;
  /** Share of the rows; 0.2 and 0 unless given. What is left is for training. */
  readonly test?: number;
  readonly validation?: number;
  /** The class of each row: any integers. */
  readonly classes?: ArrayLike<number>;
};

/** Row numbers, ascending: i32[n] each, disjoint, together all rows. */
export type Split = {
  readonly train: Int32Array<ArrayBuffer>;
  readonly validation: Int32Array<ArrayBuffer>;
  readonly test: Int32Array<ArrayBuffer>;
};

/**
 * Split `rows` rows. A part with a share above 0 gets the nearest whole number of rows, at least 1. With `classes`,
 * that number is spread over them by largest remainder, and one row of each class stays for training as long as there
 * are rows enough (a class with a single row is thus in no other part). Throws when there are too few rows, or shares
 * that leave nothing to train on.
 */
export function split(rows: number, options: SplitOptions): Split {
  requireCount("split: rows", rows, splitCall);
  requireOptions("split", options, splitCall);
  const { seed, test = 0.2, validation = 0, classes } = options;
  if (classes !== undefined && !isList(classes)) {
    fail(`split: classes: expected the class of each row, got ${shown(classes)}`, "i32 labels: { classes: y.data }");
  }
  checkShare("test", test);
  checkShare("validation", validation);
  if (test + validation >= 1) fail(`split: test ${test} and validation ${validation} leave nothing for training`);
  if (classes && classes.length !== rows) fail(`split: ${classes.length} classes for ${rows} rows`);
  const parts = 1 + Number(test > 0) + Number(validation > 0);
  if (rows < parts) {
    const wanted = ["training", ...(validation > 0 ? ["validation"] : []), ...(test > 0 ? ["test"] : [])].join(", ");
    fail(
      `split: ${rows === 1 ? "1 row is" : `${rows} rows are`} too few for ${parts} parts (${wanted})`,
      "give more rows, or a share of 0 to the parts that are not needed",
    );
  }
  const k = foldIn(key(seed), "split");
  const groups = classes ? byClass(classes) : [Array.from({ length: rows }, (_, row) => row)];
  // Each group in random order: its first rows go to the test part, the next to validation, the rest to training.
  const orders = groups.map((group, c) => Int32Array.from(shuffled(group.length, foldIn(k, c)), (i) => group[i]!));
  const sizes = orders.map((order) => order.length);
  // A class keeps one row for training, unless there are so few rows that some class cannot.
  const spare = rows - groups.length >= parts - 1 ? sizes.map((n) => n - 1) : sizes;
  const wanted = (share: number, at: number) => Math.min(Math.max(1, Math.round(rows * share)), rows - 1 - at);
  const testRows = test > 0 ? Math.min(wanted(test, Number(validation > 0)), sum(spare) - Number(validation > 0)) : 0;
  const fromTest = apportion(testRows, sizes, spare);
  const left = spare.map((n, c) => n - fromTest[c]!);
  const validationRows = validation > 0 ? Math.min(wanted(validation, testRows), sum(left)) : 0;
  const fromValidation = apportion(validationRows, sizes, left);
  const gather = (from: (c: number) => number, to: (c: number) => number) =>
    Int32Array.from(orders.flatMap((order, c) => [...order.subarray(from(c), to(c))])).sort();
  const heldOut = (c: number) => fromTest[c]! + fromValidation[c]!;
  return {
    test: gather(
      () => 0,
      (c) => fromTest[c]!,
    ),
    validation: gather((c) => fromTest[c]!, heldOut),
    train: gather(heldOut, (c) => sizes[c]!),
  };
}

/**
 * `total` seats in proportion to `sizes`, at most `spare[c]` each: whole quotas first, then one each by largest
 * remainder (Hamilton's method), the larger class first on a tie.
 */
function apportion(total: number, sizes: readonly number[], spare: readonly number[]): number[] {
  const all = sum(sizes);
  const quota = sizes.map((n) => (n * total) / all);
  const seats = quota.map((q, c) => Math.min(Math.floor(q), spare[c]!));
  const order = quota
    .map((_, c) => c)
    .sort((a, b) => quota[b]! - Math.floor(quota[b]!) - (quota[a]! - Math.floor(quota[a]!)) || sizes[b]! - sizes[a]!);
  let open = total - sum(seats);
  while (open > 0) {
    for (const c of order) {
      if (open === 0 || seats[c] === spare[c]) continue;
      seats[c]!++;
      open--;
    }
  }
  return seats;
}

/** Rows of each class, classes in ascending order. */
function byClass(classes: ArrayLike<number>): number[][] {
  const groups = new Map<number, number[]>();
  for (let row = 0; row < classes.length; row++) {
    const group = groups.get(classes[row]!);
    if (group) group.push(row);
    else groups.set(classes[row]!, [row]);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

const splitCall = "split(table.rows, { seed: 1, test: 0.2 })";

const sum = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0);

function checkShare(name: string, share: number): void {
  if (!(share >= 0 && share < 1)) fail(`split: the ${name} share must be at least 0 and below 1, got ${shown(share)}`);
}
