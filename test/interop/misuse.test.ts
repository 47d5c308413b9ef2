/** What plain JavaScript hands over in a wrong place is told with the call; Values by name may be in an object. */
import { expect, test } from "vitest";
import { EventFile } from "../../src/interop/event-file.ts";
import * as interop from "../../src/interop/index.ts";
import { DownhillError } from "../../src/ir/fail.ts";
import { value } from "../../src/ir/value.ts";
import { init, linear } from "../../src/nn/index.ts";

// any: mistakes of type, made on purpose
const all = { ...interop, EventFile } as Record<string, any>;
const net = linear(2, 2);
const model = init(net, 1);
const tensors = interop.toStateDict(net, model);

/** Arguments that are right. */
const calls: Record<string, readonly unknown[]> = {
  EventFile: [],
  entrySummary: [{ epoch: 1, step: 1, trainLoss: 1, gradientNorm: 1, lr: 1 }],
  fromStateDict: [net, tensors, {}],
  journalSummaries: [[]],
  progressSummary: [{ step: 1, losses: [1], stepsPerSecond: 1 }],
  readNpy: [new Uint8Array(4)],
  readNpz: [new Uint8Array(4)],
  startRecord: [0],
  summaryRecord: [{ step: 1, wallTime: 1 }],
  toOnnx: [net, model, { x: { shape: [1, 2] } }, {}],
  toStateDict: [net, model, {}],
  toTensorBoard: [[]],
  writeNpy: [value([1], [1])],
  writeNpz: [[["x", value([1], [1])]], {}],
};

test.each(Object.entries(all))("%s", (name, f) => {
  const right = calls[name]!;
  const call = (args: readonly unknown[]) => (name === "EventFile" ? new f(...args) : f(...args));
  expect(() => call([])).toThrow(DownhillError);
  for (const k of right.keys()) {
    for (const wrong of ["text", null, [1, 2], 3]) {
      if (typeof wrong === typeof right[k] && typeof wrong !== "object") continue;
      const args = right.map((x, j) => (j === k ? wrong : x));
      expect(() => call(args), `argument ${k}: ${JSON.stringify(wrong)}`).toThrow(DownhillError);
    }
  }
});

test.each<[() => unknown, string]>([
  [() => all.toStateDict(net), "toStateDict: expected { params, state }, got undefined\n  hint: toStateDict(net, {"],
  [() => all.fromStateDict(net, { weight: [1] }), 'fromStateDict: "weight": expected a Value, numbers with a shape'],
  [
    () => all.writeNpy([1, 2]),
    "writeNpy: expected a Value, numbers with a shape, got an array of 2\n  hint: value([2], ",
  ],
  [() => all.writeNpz({ x: [1, 2] }), 'writeNpz: "x": expected a Value, numbers with a shape, got an array of 2'],
  [() => all.writeNpz([1, 2]), "writeNpz: expected pairs of a name and a Value, got 1"],
  [() => all.toOnnx(net, model, [[1, 2]]), "toOnnx: expected inputs by name, got an array of 1"],
  [() => all.toOnnx(net, model, { x: [1, 2] }), 'toOnnx: input "x": expected a Value or { shape }, got an array of 2'],
  [() => new all.EventFile(), "EventFile: expected a folder and a time, got undefined"],
])("message %#", (call, message) => {
  expect(call).toThrow(message);
});

test("Values by name in a Map, an object or as readSafetensors gives them", () => {
  for (const given of [tensors, Object.fromEntries(tensors), { tensors, metadata: {} }]) {
    expect(interop.fromStateDict(net, given)).toEqual(model);
  }
  expect(interop.writeNpz(Object.fromEntries(tensors))).toEqual(interop.writeNpz(tensors));
});
