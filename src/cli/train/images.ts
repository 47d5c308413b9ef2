/** Training on images: each belongs to one class. */
import { join, relative, resolve } from "node:path";
import { ClassTarget } from "../../data/target.ts";
import { fail } from "../../ir/fail.ts";
import type { BackendName } from "../../run/backend.ts";
import { selectBackend } from "../../run/select.ts";
import { RunFolder } from "../../train/folder.ts";
import { type Entry, type FitResult, fit, metricsOf, predict } from "../../train/index.ts";
import { command, describedImages, type ImagesConfiguration } from "../configuration.ts";
import { lossFor, outputsFor } from "../network.ts";
import { type Gallery, galleryFingerprint, galleryOf, type Labelled, type PictureChoices } from "../pictures.ts";
import { shaped } from "../problem.ts";
import { ruleOf, scheduleOf, stepsPerEpoch, unasked } from "../recipe.ts";
import { type Score, score } from "../score.ts";
import { facts, headline, scoreText, trainingText } from "../summary.ts";
import type { Colors } from "../terminal.ts";
import { counted, grouped, shellWord, stem } from "../text.ts";
import {
  evaluationBatch,
  requireRoom,
  type VisionWishes,
  visionArchitecture,
  visionNet,
  visionParameters,
  visionRecipe,
} from "../vision.ts";
import { freeFolder, requireFree } from "./folder.ts";
import { type Job, requireSettled, sameData, trainedLine, type Watched } from "./job.ts";

export type ImagesOptions = {
  readonly labels?: string;
  readonly testImages?: string;
  readonly testLabels?: string;
  readonly size?: number;
  readonly seed?: number;
  readonly testFraction?: number;
  readonly backend?: BackendName | "auto";
  readonly out?: string;
} & VisionWishes;

/** A new training. Throws where the images cannot be read or told apart, and where wishes contradict them. */
export async function freshImages(data: string, options: ImagesOptions): Promise<Job> {
  const { seed = 1, testFraction = 0.2, size } = options;
  const folder = options.out ?? freeFolder(stem(data));
  requireFree(folder);
  const choices = { testFraction, seed, ...(size !== undefined && { size }), ...pairs(options) };
  const gallery = galleryOf(data, choices, ({ shape, classes, images, train }) => {
    const { task } = new ClassTarget("class", classes);
    const net = visionArchitecture(options, shape, undefined, outputsFor(task, classes.length));
    requireRoom(net, visionRecipe(options, shape, train).batch, images);
  });
  const target = new ClassTarget("class", gallery.classes);
  const outputs = outputsFor(target.task, gallery.classes.length);
  const { backend, note } = await selectBackend(options.backend ?? "auto");
  const configuration: ImagesConfiguration = {
    command,
    kind: "images",
    choices,
    recipe: visionRecipe(options, gallery.shape, gallery.train.y.data.length),
    architecture: visionArchitecture(options, gallery.shape, gallery.train, outputs),
    backend: backend.name,
    target: target.toJSON(),
  };
  const description = {
    file: resolve(data),
    fingerprint: galleryFingerprint(data, choices),
    images: imagesIn(gallery),
  };
  const open = () => RunFolder.create(folder, { seed, configuration, data: description });
  return jobOf(gallery, target, configuration, { folder, note, open, resumed: false });
}

/** A training that goes on. Throws where the images or the options are not those it began with. */
export async function resumedImages(data: string | undefined, folder: string, options: ImagesOptions): Promise<Job> {
  const { configuration, data: described } = describedImages(folder);
  const { choices, recipe, architecture, backend, target } = configuration;
  requireSettled(
    { ...options, ...pairs(options) },
    { ...unasked, ...architecture, ...recipe, ...choices, backend, out: folder },
  );
  const source = sameData(data, folder, described, (path) => galleryFingerprint(path, choices));
  const gallery = galleryOf(source, choices, ({ images }) => requireRoom(architecture, recipe.batch, images));
  if (target.task === "regression") fail(`${folder}: run.json is damaged: its target is a quantity`);
  const open = () => RunFolder.open(folder);
  return jobOf(gallery, new ClassTarget(target.name, target.labels), configuration, {
    folder,
    note: undefined,
    open,
    resumed: true,
  });
}

/** Files besides the first, found again from any working folder. */
function pairs({ labels, testImages, testLabels }: ImagesOptions): Partial<PictureChoices> {
  return {
    ...(labels !== undefined && { labels: resolve(labels) }),
    ...(testImages !== undefined && { testImages: resolve(testImages) }),
    ...(testLabels !== undefined && { testLabels: resolve(testLabels) }),
  };
}

const imagesIn = ({ train, validation, test }: Gallery): number =>
  [train, validation, test].reduce((n, part) => n + (part?.y.data.length ?? 0), 0);

function jobOf(
  gallery: Gallery,
  target: ClassTarget,
  configuration: ImagesConfiguration,
  kept: Pick<Job, "folder" | "note" | "open" | "resumed">,
): Job {
  const [metric] = metricsOf(target.task);
  return {
    ...kept,
    backend: configuration.backend,
    beforehand: (backend, colors, width) => `${beforehand(gallery, configuration, backend, colors, width)}\n`,
    headline: { name: metric!.name, of: ({ metrics }: Entry) => metrics?.[metric!.name] },
    fit: (watched) => fitting(gallery, target, configuration, watched),
    done: ({ epochs, steps }) => `${counted(epochs, "epoch")} (step ${grouped(steps)})`,
    async measure(result, where) {
      const { architecture } = configuration;
      const net = visionNet(architecture);
      const batch = evaluationBatch(architecture);
      const of = async ({ x, y }: Labelled) => {
        const outputs = await predict(net, result, x, { ...where, batch });
        return score(target, outputs, shaped(target, y));
      };
      const [train, test] = [await of(gallery.train), await of(gallery.test)];
      return {
        report: report(configuration, target, kept.folder, result, train, test),
        text: (colors, width) =>
          afterwards(gallery, configuration, target, kept.folder, result, train, test, colors, width),
      };
    },
  };
}

function fitting(
  { train, validation }: Gallery,
  target: ClassTarget,
  { recipe, architecture, choices, backend }: ImagesConfiguration,
  watched: Watched,
): Promise<FitResult<any>> {
  const steps = recipe.epochs * stepsPerEpoch(train.y.data.length, recipe);
  const learned = ({ x, y }: Labelled) => ({ x, y: shaped(target, y) });
  return fit({
    net: visionNet(architecture),
    loss: lossFor(target.task),
    optimizer: ruleOf(recipe, steps),
    lr: scheduleOf(recipe, steps),
    data: { train: learned(train), ...(validation && { validation: learned(validation) }) },
    ...(validation && { metrics: metricsOf(target.task).slice(0, 1) }),
    validationBatch: Math.min(validation?.y.data.length ?? 1, evaluationBatch(architecture)),
    batch: recipe.batch,
    accumulate: recipe.accumulate ?? 1,
    precision: recipe.precision,
    epochs: recipe.epochs,
    seed: choices.seed,
    backend,
    ...watched,
  });
}

// ---- what is said ------------------------------------------------------------------------------------------------------

function beforehand(
  gallery: Gallery,
  configuration: ImagesConfiguration,
  backend: string,
  colors: Colors,
  columns: number,
): string {
  const { source, classes, train, validation, test } = gallery;
  const { architecture, recipe, choices } = configuration;
  const { model, channels, height, width, hidden, dropout, augment } = architecture;
  const perEpoch = stepsPerEpoch(train.y.data.length, recipe);
  const apart = recipe.accumulate && model === "cnn" ? "; batch normalisation sees each batch by itself" : "";
  const watched = validation ? `, ${grouped(validation.y.data.length)} to watch it` : "";
  const names = classes.length > 6 ? `${classes.slice(0, 6).join(", ")} …` : classes.join(", ");
  const title = { cnn: "CNN, channels", mlp: "MLP, widths", linear: "linear" }[model];
  return facts(
    [
      [
        "data",
        `${source}: ${counted(imagesIn(gallery), "image")}; ${grouped(train.y.data.length)} to train on${watched}, ` +
          `${grouped(test.y.data.length)} held out`,
      ],
      ["classes", `${classes.length}: ${names}`],
      ["images", `${channels === 1 ? "grey" : "in colour"}, ${height} × ${width} pixels`],
      [
        "model",
        `${title}${hidden.length > 0 ? ` ${hidden.join(" → ")}` : ""}: ` +
          `${counted(visionParameters(architecture), "parameter")}${dropout > 0 ? `, dropout ${dropout}` : ""}` +
          `${augment.length > 0 ? `; random ${augment.join(" and ")}` : ""}`,
      ],
      [
        "training",
        trainingText(recipe, `${counted(recipe.epochs, "epoch")} of ${counted(perEpoch, "step")}`, choices.seed) +
          apart,
      ],
      ["backend", backend],
    ],
    colors,
    columns,
  );
}

/** The line of --json. */
function report(
  { choices }: ImagesConfiguration,
  target: ClassTarget,
  folder: string,
  result: FitResult<any>,
  train: Score,
  test: Score,
) {
  const { backend, epochs, steps, secondsTraining, secondsCompiling } = result;
  return {
    task: target.task,
    backend,
    seed: choices.seed,
    epochs,
    steps,
    trainLoss: train.loss,
    testLoss: test.loss,
    ...(test.kind === "classes" && {
      testAccuracy: test.accuracy,
      ...(test.auc !== undefined && { testAuc: test.auc }),
    }),
    testRows: test.rows,
    secondsTraining,
    secondsCompiling,
    run: folder,
  };
}

function afterwards(
  { source }: Gallery,
  { choices }: ImagesConfiguration,
  target: ClassTarget,
  folder: string,
  result: FitResult<any>,
  train: Score,
  test: Score,
  colors: Colors,
  width: number,
): string {
  const { bold, dim, green } = colors;
  const labels = choices.labels === undefined ? "" : ` --labels ${shellWord(relative("", choices.labels))}`;
  const run = shellWord(folder);
  return [
    trainedLine(counted(result.epochs, "epoch"), result, width),
    "",
    bold("Held-out test images"),
    scoreText(target, test, colors),
    `  ${dim(headline(train, "training"))}`,
    "",
    `The model is in ${bold(join(folder, "model.safetensors"))}; to use it:`,
    `  downhill predict ${run} ${shellWord(source)}`,
    `  downhill eval ${run} ${shellWord(source)}${labels}`,
    "",
    green(headline(test, "held-out")),
    "",
  ].join("\n");
}
