/** What run.json holds of a training by the command line: all that predict, eval and --resume need to find it again. */
import { type Encoder, type EncoderJson, encoderFromJson } from "../data/encode.ts";
import { type Target, type TargetJson, type Task, targetFromJson } from "../data/target.ts";
import { fail } from "../ir/fail.ts";
import { init, type Module } from "../nn/index.ts";
import type { BackendName } from "../run/backend.ts";
import type { Model } from "../train/checkpoint.ts";
import { readModel, readRun } from "../train/folder.ts";
import { type Architecture, network } from "./network.ts";
import type { Choices } from "./problem.ts";
import type { Recipe } from "./recipe.ts";

export type TableConfiguration = {
  readonly command: typeof command;
  readonly kind: "table";
  readonly task: Task;
  readonly choices: Choices;
  /** Share of the rows that training was watched on. */
  readonly validation: number;
  readonly recipe: Recipe;
  readonly architecture: Architecture;
  readonly backend: BackendName;
  readonly target: TargetJson;
  readonly encoder: EncoderJson;
};

/** Of any kind of data: told apart by `kind`. */
export type Configuration = TableConfiguration;

/** Where the data were, and what they were, to know them again. */
export type DataDescription = { readonly file: string; readonly fingerprint: string };

export const command = "downhill train";

export type Described<C = Configuration> = {
  readonly seed: number;
  readonly configuration: C;
  readonly data: DataDescription;
};

/** Throws what `readRun` throws, and where another program made the run. */
export function describedRun(path: string): Described {
  const { seed, configuration, data } = readRun(path);
  const known = configuration as Partial<Configuration> | null;
  if (known?.command !== command) {
    fail(`${path}: this run was not made by \`${command}\``, "a program's run is read by that program");
  }
  return { seed, configuration: known as Configuration, data: data as DataDescription };
}

/** The same of a table. Throws where the run is of other data. */
export function describedTable(path: string): Described<TableConfiguration> {
  const { seed, configuration, data } = describedRun(path);
  requireKind(path, configuration, "table");
  return { seed, configuration, data };
}

function requireKind<K extends Configuration["kind"]>(
  path: string,
  configuration: Configuration,
  kind: K,
): asserts configuration is Extract<Configuration, { kind: K }> {
  if (configuration.kind !== kind) fail(`${path}: this run is of a ${configuration.kind}, not of a ${kind}`);
}

export type Trained = {
  readonly configuration: TableConfiguration;
  readonly net: Module;
  readonly model: Model;
  readonly encoder: Encoder;
  readonly target: Target;
};

/** A trained network with the meaning of its inputs and outputs. Throws where the run is damaged or not yet trained. */
export function trainedTable(path: string): Trained {
  const { seed, configuration } = describedTable(path);
  const net = network(configuration.architecture);
  return {
    configuration,
    net,
    model: readModel(path, init(net, seed)),
    encoder: encoderFromJson(configuration.encoder),
    target: targetFromJson(configuration.target),
  };
}
