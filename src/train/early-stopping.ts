/** Early stopping: which model was the best on the validation data so far, and whether it is time to give up. */
import { type EarlyStopping, improvement } from "./check.ts";
import type { Best, Model } from "./checkpoint.ts";
import type { Metric } from "./metrics.ts";
import type { Evaluation } from "./predict.ts";

export class BestSoFar {
  private readonly options: EarlyStopping | undefined;
  private readonly improves: ((now: number, best: number) => boolean) | undefined;
  private entry: Best | undefined;
  private kept: Model | undefined;

  /** Throws where that is not what early stopping can be by. Nothing is ever the best where it is not asked for. */
  constructor(options: EarlyStopping | undefined, metrics: readonly Metric[], from?: Best, model?: Model) {
    this.options = options;
    this.improves = options && improvement(options, metrics);
    this.entry = from;
    this.kept = model;
  }

  get best(): Best | undefined {
    return this.entry;
  }
  get model(): Model | undefined {
    return this.kept;
  }

  /** Whether what was measured `at` there is the best so far: its model is then asked for, and kept. */
  async compare(
    measured: Evaluation,
    at: Pick<Best, "epoch" | "step">,
    model: () => Model | Promise<Model>,
  ): Promise<void> {
    if (!this.options || !this.improves) return;
    const { metric = "loss" } = this.options;
    const now = metric === "loss" ? measured.loss : measured.metrics[metric]!;
    if (!this.entry || Number.isNaN(this.entry.value) || this.improves(now, this.entry.value)) {
      this.entry = { value: now, ...at, since: 0 };
      this.kept = await model();
    } else this.entry = { ...this.entry, since: this.entry.since + 1 };
  }

  /** Whether nothing was better for as long as patience lasts. */
  get waited(): boolean {
    return this.options !== undefined && this.entry !== undefined && this.entry.since >= this.options.patience;
  }
}
