/** Where a run keeps what must outlive the process. `downhill/train/folder` has one on disk; a browser may bring its own. */
import type { Model, Packed } from "./checkpoint.ts";

/** Something that happened: one line of the journal. */
export type Event = { readonly event: string } & Readonly<Record<string, unknown>>;

export interface Store {
  /** What to call it in messages. */
  readonly name: string;
  /** Replace the checkpoint: afterwards either the old or the new one is there, whole. */
  save(checkpoint: Packed): void | Promise<void>;
  /** The last checkpoint, or undefined before the first. Throws where it is damaged. */
  load(): Packed | undefined | Promise<Packed | undefined>;
  /** Replace the model, in the same way. */
  saveModel(model: Model): void | Promise<void>;
  /** Add to the journal. */
  log(event: Event): void;
}
