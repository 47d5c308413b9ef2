/** What is worth telling about data that can be used all the same. */

export type WarningKind =
  | "few-rows"
  | "imbalance"
  | "constant-column"
  | "dropped-column"
  | "heavy-tail"
  | "many-categories"
  | "duplicates-across-split"
  | "leakage"
  | "extra-columns"
  | "unseen-category"
  | "clipped";

export type Warning = {
  readonly kind: WarningKind;
  /** One sentence. */
  readonly message: string;
  /** The column it is about, if it is about one. */
  readonly column?: string;
  /** The numbers behind it. */
  readonly evidence: Readonly<Record<string, number>>;
};
