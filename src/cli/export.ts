/** `downhill export`: a trained model as a file that other tools read. */
import { existsSync } from "node:fs";
import { extname } from "node:path";
import { Command } from "commander";
import type { Target } from "../data/target.ts";
import { toOnnx, toStateDict, writeNpz } from "../interop/index.ts";
import { fail } from "../ir/fail.ts";
import { concat, type Tensor } from "../ir/index.ts";
import { type Module, sigmoid, softmax } from "../nn/index.ts";
import type { Model } from "../train/checkpoint.ts";
import { writeSafetensors } from "../train/index.ts";
import { type Configuration, describedRun, trainedImages, trainedTable, trainedText } from "./configuration.ts";
import * as parse from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { bytes, wrapped } from "./text.ts";
import { writeWhole } from "./write.ts";

const formats = ["onnx", "safetensors", "npz"] as const;
type Format = (typeof formats)[number];

type Options = {
  readonly to?: Format;
  readonly out: string;
  readonly probabilities?: true;
  readonly batch?: number;
  readonly force?: true;
  readonly json?: true;
};

export function exportCommand(terminal: Terminal): Command {
  return new Command("export")
    .helpOption("-h, --help", "explain this command")
    .description("Write a trained model as a file that other tools read.")
    .argument("<run>", "the folder of a run, such as runs/mail-1")
    .requiredOption("-o, --out <file>", "where to write")
    .option("--to <format>", `${formats.join(", ")}; by the ending of --out unless given`, parse.oneOf(formats))
    .option("--probabilities", "onnx: give the probability of each class instead of logits")
    .option("--batch <n>", "onnx: take n rows at a time; any number unless given", parse.count)
    .option("--force", "replace a file that is there")
    .option("--json", "one line of JSON")
    .addHelpText(
      "after",
      `
Formats:
  onnx         the network as a graph, for onnxruntime and what reads ONNX
  safetensors  parameters by PyTorch's names, for load_state_dict
  npz          the same, for numpy.load

Examples:
  $ downhill export runs/mail-1 --out mail.onnx --probabilities
  $ downhill export runs/mail-1 --to safetensors --out model.safetensors`,
    )
    .action((run: string, options: Options) => {
      const { out, force, json } = options;
      const to = options.to ?? formatOf(out);
      if (to !== "onnx") {
        const foreign = (["probabilities", "batch"] as const).find((name) => options[name] !== undefined);
        if (foreign !== undefined) fail(`--${foreign} belongs to --to onnx: a file of parameters computes nothing`);
      }
      if (existsSync(out) && !force) fail(`${out}: there is a file already`, "choose another --out, or add --force");
      const subject = subjects[describedRun(run).configuration.kind](run);
      const { content, about } = writers[to](subject, options);
      writeWhole(out, content);
      if (json)
        terminal.out.write(`${JSON.stringify({ run, file: out, format: to, bytes: content.length, ...about })}\n`);
      else terminal.out.write(shown(out, content.length, about, terminal.colors.out));
    });
}

function formatOf(out: string): Format {
  const ending = extname(out).slice(1).toLowerCase();
  const found = formats.find((format) => format === ending);
  return found ?? fail(`${out}: its ending names no format`, `say --to ${formats.join(", --to ")}`);
}

/** What goes in or comes out. */
type Port = { readonly name: string; readonly shape: readonly (number | "batch")[]; readonly about: string };
type Output = Port & { readonly after?: (y: Tensor) => Tensor };

/** A network, and what its numbers mean. */
type Subject = {
  readonly net: Module;
  readonly model: Model;
  readonly input: Port & { readonly dtype: "f32" | "i32" };
  readonly output: Output;
  /** What it gives with --probabilities; undefined where there are no classes. */
  readonly probabilities: Output | undefined;
  readonly metadata: Readonly<Record<string, string>>;
};

const subjects: Record<Configuration["kind"], (run: string) => Subject> = {
  table(run) {
    const { net, model, encoder, target } = trainedTable(run);
    const features = encoder.featureNames;
    return {
      net,
      model,
      input: {
        name: "x",
        dtype: "f32",
        shape: ["batch", features.length],
        about: "rows as training encoded them; features and encoder of the metadata say how",
      },
      ...answers(target),
      metadata: {
        task: target.task,
        target: target.name,
        features: JSON.stringify(features),
        encoder: JSON.stringify(encoder.toJSON()),
        ...(target.task !== "regression" && { labels: JSON.stringify(target.labels) }),
      },
    };
  },
  images(run) {
    const { net, model, configuration, target } = trainedImages(run);
    const { channels, height, width } = configuration.architecture;
    return {
      net,
      model,
      input: {
        name: "x",
        dtype: "f32",
        shape: ["batch", channels, height, width],
        about: `pixels in [0, 1], ${channels === 1 ? "grey" : "red, green, blue"}; the network normalises them`,
      },
      ...answers(target),
      metadata: {
        task: target.task,
        ...(target.task !== "regression" && { labels: JSON.stringify(target.labels) }),
      },
    };
  },
  text(run) {
    const { net, model, configuration } = trainedText(run);
    const { vocabulary, context } = configuration.architecture;
    const shape = ["batch", context, vocabulary] as const;
    return {
      net,
      model,
      input: {
        name: "tokens",
        dtype: "i32",
        shape: ["batch", context],
        about: "by the run's tokenizer.json; a shorter text may end in anything: nothing looks ahead",
      },
      output: { name: "logits", shape, about: "for each place the logits of the token after it" },
      probabilities: {
        name: "probabilities",
        shape,
        about: "for each place the probabilities of the token after it",
        after: (y) => softmax(y),
      },
      metadata: { task: "text", vocabulary: `${vocabulary}`, context: `${context}` },
    };
  },
};

/** What a network for tables gives. */
function answers(target: Target): Pick<Subject, "output" | "probabilities"> {
  if (target.task === "regression") {
    const { mean, sd, name } = target;
    const output = { name: "prediction", shape: ["batch", 1] as const, about: `${name}, in its own unit` };
    return { output: { ...output, after: (y) => y.mul(sd).add(mean) }, probabilities: undefined };
  }
  const { labels } = target;
  const binary = target.task === "binary";
  const classes = `the classes ${parse.quoted(labels.map(String))}, in this order`;
  return {
    output: {
      name: binary ? "logit" : "logits",
      shape: ["batch", binary ? 1 : labels.length],
      about: binary
        ? `its sigmoid is the probability of ${labels[1]}`
        : `their softmax gives the probabilities of ${classes}`,
    },
    probabilities: {
      name: "probabilities",
      shape: ["batch", labels.length],
      about: `of ${classes}`,
      after: binary ? (y) => concat([sigmoid(y.neg()), sigmoid(y)], -1) : (y) => softmax(y),
    },
  };
}

type Written = { readonly content: Uint8Array; readonly about: About };
type About = { readonly inputs?: readonly Port[]; readonly outputs?: readonly Port[]; readonly parameters?: number };

const writers: Record<Format, (subject: Subject, options: Options) => Written> = {
  onnx({ net, model, input, output, probabilities, metadata }, options) {
    const chosen = options.probabilities ? probabilities : output;
    if (!chosen) fail("--probabilities: this model predicts a quantity, and no classes", "leave it out");
    const { after, ...port } = chosen;
    const content = toOnnx(
      net,
      model,
      { [input.name]: input },
      {
        batch: options.batch ?? "dynamic",
        outputs: [port.name],
        ...(after && { after }),
        metadata: { ...metadata, input: input.about, output: port.about },
      },
    );
    const sized = ({ name, shape, about }: Port): Port => ({
      name,
      shape: shape.map((n) => (n === "batch" ? (options.batch ?? n) : n)),
      about,
    });
    return { content, about: { inputs: [sized(input)], outputs: [sized(port)] } };
  },
  safetensors({ net, model, metadata }) {
    const tensors = toStateDict(net, model);
    return { content: writeSafetensors(tensors, { format: "pt", ...metadata }), about: { parameters: tensors.size } };
  },
  npz({ net, model }) {
    const tensors = toStateDict(net, model);
    return { content: writeNpz(tensors), about: { parameters: tensors.size } };
  },
};

function shown(file: string, size: number, about: About, { bold, dim }: Terminal["colors"]["out"]): string {
  const port = (title: string) => (p: Port) =>
    `  ${title}  ${p.name} [${p.shape.join(", ")}]\n${" ".repeat(10)}${dim(wrapped(p.about, 70, " ".repeat(10)))}`;
  const { inputs = [], outputs = [], parameters } = about;
  const lines = [...inputs.map(port("input ")), ...outputs.map(port("output"))];
  if (parameters !== undefined) lines.push(`  ${parameters} tensors, by PyTorch's names`);
  return `${[`${bold(file)}  ${bytes(size)}`, ...lines].join("\n")}\n`;
}
