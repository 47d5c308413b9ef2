/**
 * A run on disk, for Node: a folder that another tool, or the next process, can read.
 *
 *   run.json                 what was asked for: configuration, seed, data, versions
 *   journal.jsonl            what happened: one event per line, appended
 *   model.safetensors        the trained model: tensors named as in the net, such as layers.0.weight
 *   checkpoint.safetensors   all that is needed to go on
 *   tokenizer.json           of a language model
 *   lock                     who writes here, while somebody does
 *
 * A file is written beside its name, synced and renamed, so whatever happens, the old one or the new one is there, whole.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fail } from "../ir/fail.ts";
import { type Model, modelFrom, modelTensors, type Packed } from "./checkpoint.ts";
import { hold, lockFile, release } from "./lock.ts";
import { readSafetensors, type Tensors, writeSafetensors } from "./safetensors.ts";
import type { Event, Store } from "./store.ts";
import { attempt, codeOf, replace } from "./whole-file.ts";

/** Of the folder: readers refuse another one. */
const version = 1;

/** What a run was asked to do. `configuration` and `data` are JSON of whoever started it. */
export type RunDescription = {
  readonly seed: number;
  readonly configuration: unknown;
  readonly data: unknown;
};
export type RunJson = RunDescription & {
  readonly version: number;
  /** ISO 8601. */
  readonly created: string;
  readonly versions: { readonly downhill: string; readonly node: string };
};

const files = {
  run: "run.json",
  journal: "journal.jsonl",
  model: "model.safetensors",
  checkpoint: "checkpoint.safetensors",
  lock: lockFile,
};

/** Makes a folder and those above it. → those that were not there, outermost first; all or none of them. */
export const makeFolders = (path: string): string[] => attempt(path, () => oneByOne(path));

/** A recursive mkdir below /proc never ends (Node 20). */
function oneByOne(path: string): string[] {
  if (existsSync(path)) return [];
  const above = oneByOne(dirname(resolve(path)));
  try {
    mkdirSync(path);
  } catch (error) {
    for (const folder of above.reverse()) rmdirSync(folder);
    if (codeOf(error) === "ENOENT") fail(`${path}: no folder can be made here`, "choose another folder");
    throw error;
  }
  return [...above, path];
}

/** A run's folder, held by this process until `close`. Everything it throws names the file and says what to do. */
export class RunFolder implements Store {
  readonly path: string;
  readonly run: RunJson;

  private constructor(path: string, run: RunJson) {
    this.path = path;
    this.run = run;
  }

  /** A new run. Throws where the folder holds one already, cannot be written, or is in use. */
  static create(path: string, { seed, configuration, data }: RunDescription): RunFolder {
    const made = makeFolders(path);
    const versions = { downhill: packageVersion(), node: process.versions.node };
    const run = { version, created: new Date().toISOString(), versions, seed, configuration, data };
    try {
      return holding(path, () => {
        const present = [files.run, files.checkpoint, files.model, files.journal].find((name) =>
          existsSync(join(path, name)),
        );
        if (present)
          fail(`${path}: the folder already holds a run (${present})`, "resume it, or choose another folder");
        replace(join(path, files.run), `${JSON.stringify(run, null, 2)}\n`);
        return new RunFolder(path, run);
      });
    } catch (error) {
      if (made.length > 0) rmSync(made[0]!, { recursive: true, force: true });
      throw error;
    }
  }

  /** A run that is there, to go on with it. Throws where there is none, another version wrote it, or it is in use. */
  static open(path: string): RunFolder {
    const run = readRun(path);
    return holding(path, () => {
      repairJournal(join(path, files.journal));
      return new RunFolder(path, run);
    });
  }

  get name(): string {
    return join(this.path, files.checkpoint);
  }

  save({ tensors, about }: Packed): void {
    replace(this.name, seal("checkpoint", tensors, about));
  }

  load(): Packed | undefined {
    return existsSync(this.name) ? unseal("checkpoint", this.name, damagedCheckpoint) : undefined;
  }

  saveModel(model: Model): void {
    replace(join(this.path, files.model), seal("model", new Map(modelTensors(model)), ""));
  }

  /** A text beside the model, such as tokenizer.json: the whole of it or, if anything goes wrong, the old one. */
  keep(name: string, text: string): void {
    replace(join(this.path, name), text);
  }

  /** The event and the time, in milliseconds since 1970. */
  log(event: Event): void {
    const line = `${JSON.stringify({ ...event, time: Date.now() })}\n`;
    append(join(this.path, files.journal), line);
  }

  /** Let others write here. */
  close(): void {
    release(this.path);
  }
}

/** What the run in this folder was asked to do. Throws where there is none, or another version wrote it. */
export function readRun(path: string): RunJson {
  const file = join(path, files.run);
  if (!existsSync(path)) fail(`${path}: there is no such folder`);
  if (!existsSync(file))
    fail(`${path}: this folder holds no run: there is no ${files.run}`, "name the folder that a training made");
  let run: Partial<RunJson> | null;
  try {
    run = JSON.parse(attempt(file, () => readFileSync(file, "utf8"))) as Partial<RunJson> | null;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fail(
      `${file}: this is not JSON (${error.message})`,
      "the file is damaged: train again, into another folder",
    );
  }
  if (run?.version !== version) {
    const by = run?.versions?.downhill ? ` by downhill ${run.versions.downhill}` : "";
    fail(
      `${file}: written${by} in version ${run?.version} of the format, this is version ${version}`,
      "use the downhill that wrote it, or train again",
    );
  }
  return run as RunJson;
}

/** The trained model, in the trees of `like`, which `init(net, seed)` gives. Throws where it is missing, damaged or another net's. */
export function readModel<M extends Model>(path: string, like: M): M {
  const file = join(path, files.model);
  if (!existsSync(file))
    fail(`${path}: there is no ${files.model} yet`, "the training has not come to an end: resume it");
  return modelFrom(unseal("model", file, "train again, or copy it again").tensors, like, file);
}

/** The trained model or, before the training has come to an end, that of its last checkpoint. Throws as `readModel`. */
export function readLatest<M extends Model>(path: string, like: M): M {
  const file = join(path, files.checkpoint);
  if (existsSync(join(path, files.model)) || !existsSync(file)) return readModel(path, like);
  const { tensors } = unseal("checkpoint", file, damagedCheckpoint);
  const ofModel = [...tensors].flatMap(([name, v]) => {
    const inside = /^(?:params|state)\.(.*)$/s.exec(name)?.[1];
    return inside === undefined ? [] : [[inside, v] as const];
  });
  return modelFrom(new Map(ofModel), like, file);
}

/**
 * The events of a run, oldest first. What a resumed run did again replaces what came after its checkpoint the first
 * time. A last line that a crash cut off is left out. Throws where another line is damaged.
 */
export function readJournal(path: string): Event[] {
  const file = join(path, files.journal);
  if (!existsSync(file)) return [];
  const lines = attempt(file, () => readFileSync(file, "utf8")).split("\n");
  lines.pop(); // what follows the last end of line: nothing, or a torn line
  let events: Event[] = [];
  for (const [k, line] of lines.entries()) {
    const event = parseEvent(line) ?? fail(`${file}: line ${k + 1} is damaged`, "delete the line");
    if (event.event === "resume") {
      const from = Number(event.step);
      events = events.filter(({ step }) => !(typeof step === "number" && step > from));
    }
    events.push(event);
  }
  return events;
}

function parseEvent(line: string): Event | undefined {
  try {
    const event: unknown = JSON.parse(line);
    return typeof event === "object" && event !== null && "event" in event ? (event as Event) : undefined;
  } catch {
    return undefined;
  }
}

/** Adds to the end of a file: all of it or nothing. */
export function append(path: string, data: string | Uint8Array): void {
  attempt(path, () => {
    const file = openSync(path, "a");
    try {
      const { size } = fstatSync(file);
      try {
        writeFileSync(file, data);
      } catch (error) {
        ftruncateSync(file, size); // no half line
        throw error;
      }
    } finally {
      closeSync(file);
    }
  });
}

/** Cut a torn last line off, so that the next event begins a line of its own. */
function repairJournal(file: string): void {
  if (!existsSync(file)) return;
  attempt(file, () => {
    const bytes = readFileSync(file);
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end < bytes.length) truncateSync(file, end);
  });
}

// ---- files -------------------------------------------------------------------------------------------------------------

type Kind = "checkpoint" | "model";

/** Tensors and a text with the sum that says whether they are what was written. */
function seal(kind: Kind, tensors: Tensors, about: string): Uint8Array {
  return writeSafetensors(tensors, {
    format: `downhill ${kind}`,
    version: `${version}`,
    about,
    sha256: checksum(tensors, about),
  });
}

function unseal(kind: Kind, file: string, remedy: string): Packed {
  const { tensors, metadata } = readSafetensors(
    attempt(file, () => readFileSync(file)),
    file,
    remedy,
  );
  if (metadata.format !== `downhill ${kind}`) fail(`${file}: this is no ${kind} of downhill`, remedy);
  if (metadata.version !== `${version}`) {
    fail(
      `${file}: written in version ${metadata.version} of the format, this is version ${version}`,
      "use the downhill that wrote it",
    );
  }
  const { about = "", sha256 } = metadata;
  if (sha256 !== checksum(tensors, about))
    fail(`${file}: its content is not what was written: the checksum differs`, remedy);
  return { tensors, about };
}

const damagedCheckpoint = "copy the checkpoint again, or train again into another folder: nothing can go on from here";

/** Of the text and of every tensor's name, type, shape and bytes, in the order of names. */
function checksum(tensors: Tensors, about: string): string {
  const hash = createHash("sha256").update(JSON.stringify(about));
  for (const name of [...tensors.keys()].sort()) {
    const v = tensors.get(name)!;
    hash.update(JSON.stringify([name, v.dtype, v.shape]));
    hash.update(new Uint8Array(v.data.buffer, v.data.byteOffset, v.data.byteLength));
  }
  return hash.digest("hex");
}

/** What `body` makes of a folder that this process now holds; it is let go where `body` throws. */
function holding<T>(path: string, body: () => T): T {
  hold(path);
  try {
    const ours = (name: string) => name.endsWith(".tmp") && Object.values(files).some((f) => name.startsWith(f));
    // of a process that was killed while it wrote
    for (const name of readdirSync(path).filter(ours)) rmSync(join(path, name), { force: true });
    return body();
  } catch (error) {
    release(path);
    throw error;
  }
}

function packageVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
