/** The command as a process of its own: exit codes, signals, pipes, colour. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { flowers, workplace } from "./terminal.ts";

const { path, file } = workplace();
const program = join(import.meta.dirname, "../../bin/downhill.js");
const env = { ...process.env, NO_COLOR: "", FORCE_COLOR: undefined };
const downhill = (...argv: string[]) =>
  spawnSync(process.execPath, [program, ...argv], { encoding: "utf8", cwd: path, env });

/** Resolves when the child has written something that matches. */
function says(child: ChildProcess, pattern: RegExp): Promise<void> {
  let text = "";
  return new Promise((resolve, reject) => {
    child.stdout!.on("data", (part: Buffer) => {
      text += part;
      if (pattern.test(text)) resolve();
    });
    child.once("exit", () => reject(new Error(`it ended before it said ${pattern}: ${text}`)));
  });
}

beforeAll(() => {
  downhill("--version"); // in a clone the first call may build
});

test("exit code 0, 2 and the streams", () => {
  file("flowers.csv", flowers(100));
  const version = downhill("--version");
  expect(version).toMatchObject({ status: 0, stderr: "" });
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const mistake = downhill("train", "nowhere.csv", "--target", "x");
  expect(mistake).toMatchObject({ status: 2, stdout: "" });
  expect(mistake.stderr).toMatch(/^error: nowhere\.csv: no such file\n$/);
  expect(downhill()).toMatchObject({ status: 0, stdout: expect.stringContaining("downhill train") });
});

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s saves a checkpoint; resumed, the run ends as if never interrupted",
  async (signal) => {
    file("flowers.csv", flowers(400));
    const argv = ["train", "flowers.csv", "-t", "kind", "--backend", "js", "--hidden", "16", "--epochs", "1500"];
    const child = spawn(process.execPath, [program, ...argv, "--out", signal], { cwd: path, env });
    let err = "";
    child.stderr.on("data", (part: Buffer) => (err += part));
    await says(child, /epoch +\d+\/1500/);
    child.kill(signal);
    const [code] = await once(child, "exit");
    expect({ code, err }).toMatchObject({
      code: 130,
      err: expect.stringContaining(`downhill train --resume ${signal}`),
    });
    expect(existsSync(join(path, signal, "checkpoint.safetensors"))).toBe(true);
    expect(existsSync(join(path, signal, "lock"))).toBe(false);

    const resumed = downhill("train", "--resume", signal, "--json");
    expect(resumed.status).toBe(0);
    expect(JSON.parse(resumed.stdout).epochs).toBe(1500);
    const whole = `${signal}-whole`;
    expect(downhill(...argv, "--out", whole, "--json").status).toBe(0);
    const model = (run: string) => readFileSync(join(path, run, "model.safetensors"));
    expect(model(signal).equals(model(whole))).toBe(true);
  },
);

test("a reader that goes away is no error", () => {
  file("flowers.csv", flowers(100));
  downhill("train", "flowers.csv", "-t", "kind", "--backend", "js", "--epochs", "2", "--out", "pipe", "--quiet");
  const line = `"${process.execPath}" "${program}" predict pipe flowers.csv; echo "code $?" >&2`;
  const { stdout, stderr } = spawnSync("sh", ["-c", `(${line}) | head -n 1`], { encoding: "utf8", cwd: path, env });
  expect(stdout).toBe("prediction,p(rose),p(tulip)\n");
  expect(stderr).toBe("code 0\n");
});

test("colour only where it is wanted", () => {
  const with_ = (more: NodeJS.ProcessEnv, ...argv: string[]) =>
    spawnSync(process.execPath, [program, "info", ...argv], {
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined, ...more },
    }).stdout;
  const sequence = "\u001b[";
  expect(with_({})).not.toContain(sequence); // not a terminal
  expect(with_({ FORCE_COLOR: "1" })).toContain(sequence);
  expect(with_({ FORCE_COLOR: "1", NO_COLOR: "1" })).not.toContain(sequence);
  expect(with_({ FORCE_COLOR: "1" }, "--no-color")).not.toContain(sequence);
});

test("a sample without end ends with its reader", () => {
  file("hills.txt", "the hills go down, and down again.\n".repeat(12));
  const tiny = ["--context", "4", "--layers", "1", "--heads", "1", "--width", "4", "--steps", "2", "--backend", "js"];
  expect(downhill("train", "hills.txt", "--out", "hills", "--quiet", ...tiny).status).toBe(0);
  const line = `"${process.execPath}" "${program}" sample hills --prompt "the " --tokens 100000000 --backend js`;
  const { stdout, stderr } = spawnSync("sh", ["-c", `${line} | head -c 4`], { encoding: "utf8", cwd: path, env });
  expect({ stdout, stderr }).toEqual({ stdout: "the ", stderr: "" });
});
