/** What run.json holds of a training by the command line: all that predict, eval and --resume need to find it again. */
import { type Encoder, type EncoderJson, encoderFromJson } from "../data/encode.ts";
import { type Target, type TargetJson, type Task, targetFromJson } from "../data/target.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { fail } from "../ir/fail.ts";
import { init, type Module } from "../nn/index.ts";
import type { BackendName } from "../run/backend.ts";
import type { Model } from "../train/checkpoint.ts";
import { readLatest, readModel, readRun } from "../train/folder.ts";
import { type TextChoices, tokenizerOf } from "./corpus.ts";
import { type LanguageArchitecture, type LanguageRecipe, languageModel } from "./language.ts";
import { type Architecture, network } from "./network.ts";
import type { PictureChoices } from "./pictures.ts";
import type { Choices } from "./problem.ts";
import type { Recipe } from "./recipe.ts";
import { type VisionArchitecture, type VisionRecipe, visionNet } from "./vision.ts";

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

export type TextConfiguration = {
  readonly command: typeof command;
  readonly kind: "text";
  readonly choices: TextChoices;
  readonly recipe: LanguageRecipe;
  readonly architecture: LanguageArchitecture;
  readonly backend: BackendName;
  /** Tokens that a sample without a prompt begins with. */
  readonly opening: readonly number[];
};

export type ImagesConfiguration = {
  readonly command: typeof command;
  readonly kind: "images";
  readonly choices: PictureChoices;
  readonly recipe: VisionRecipe;
  readonly architecture: VisionArchitecture;
  readonly backend: BackendName;
  readonly target: TargetJson;
};

/** Of any kind of data: told apart by `kind`. */
export type Configuration = TableConfiguration | TextConfiguration | ImagesConfiguration;

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

export type Kind = Configuration["kind"];

/** In a sentence: one of them, and all of them. */
export const named: Record<Kind, readonly [one: string, all: string]> = {
  table: ["a table", "tables"],
  text: ["a text", "texts"],
  images: ["images", "images"],
};

/** The same of one kind of data. Throws where the run is of another. */
function describedKind<K extends Kind>(path: string, kind: K): Described<Extract<Configuration, { kind: K }>> {
  const { seed, configuration, data } = describedRun(path);
  const found = configuration.kind;
  if (found !== kind) {
    fail(`${path}: this run was trained on ${named[found][0]}, not on ${named[kind][0]}`, uses[found]);
  }
  return { seed, configuration: configuration as Extract<Configuration, { kind: K }>, data };
}

const uses: Record<Kind, string> = {
  table: "its model is used with: downhill predict, downhill eval",
  text: "its model is used with: downhill sample, downhill eval",
  images: "its model is used with: downhill predict, downhill eval",
};

export const describedTable = (path: string): Described<TableConfiguration> => describedKind(path, "table");
export const describedText = (path: string): Described<TextConfiguration> => describedKind(path, "text");
export const describedImages = (path: string): Described<ImagesConfiguration> => describedKind(path, "images");

export type TrainedTable = {
  readonly configuration: TableConfiguration;
  readonly net: Module;
  readonly model: Model;
  readonly encoder: Encoder;
  readonly target: Target;
};

/** A trained network with the meaning of its inputs and outputs. Throws where the run is damaged or not yet trained. */
export function trainedTable(path: string): TrainedTable {
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

export type TrainedText = {
  readonly configuration: TextConfiguration;
  readonly net: Module;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
};

/** A language model, of the last checkpoint while it is trained, and its tokenizer. Throws where the run is damaged. */
export function trainedText(path: string): TrainedText {
  const { seed, configuration } = describedText(path);
  const net = languageModel(configuration.architecture);
  return { configuration, net, model: readLatest(path, init(net, seed)), tokenizer: tokenizerOf(path) };
}

export type TrainedImages = {
  readonly configuration: ImagesConfiguration;
  readonly net: Module;
  readonly model: Model;
  readonly target: Target;
};

/** A trained network for images and its classes. Throws where the run is damaged or not yet trained. */
export function trainedImages(path: string): TrainedImages {
  const { seed, configuration } = describedImages(path);
  const net = visionNet(configuration.architecture);
  const model = readModel(path, init(net, seed));
  return { configuration, net, model, target: targetFromJson(configuration.target) };
}
