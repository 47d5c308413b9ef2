/** The safetensors format: against a file of the reference implementation, and against hostile bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DType, dtypes } from "../../src/ir/dtype.ts";
import { DownhillError } from "../../src/ir/fail.ts";
import { size } from "../../src/ir/shape.ts";
import { Value, value } from "../../src/ir/value.ts";
import { readSafetensors, writeSafetensors } from "../../src/train/safetensors.ts";
import { damaged, expectRefusedWhenCut, orRefused } from "../hostile.ts";

/*
 * Made by safetensors 0.8.0 (Python):
 *   save({"a.weight": np.array([[1, -2.5, 3e-40], [np.inf, 0, -0.0]], np.float32),
 *         "half": np.array([1, -2.5, 6e-8, 65504, np.inf, -0.0, 0.333251953125], np.float16),
 *         "n": np.array([-1, 2**31 - 1], np.int32), "u": np.array([2**32 - 1], np.uint32),
 *         "ok": np.array([True, False, True]), "d": np.array(0.1), "none": np.zeros((0, 3), np.float32)},
 *        metadata={"format": "np", "note": "ä"})
 */
const reference = Buffer.from(
  "wAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJub3RlIjoiw6QiLCJmb3JtYXQiOiJucCJ9LCJkIjp7ImR0eXBlIjoiRjY0Iiwic2hhcGUiOltdLCJk" +
    "YXRhX29mZnNldHMiOlswLDhdfSwiYS53ZWlnaHQiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzIsM10sImRhdGFfb2Zmc2V0cyI6WzgsMzJdfSwi" +
    "bm9uZSI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMCwzXSwiZGF0YV9vZmZzZXRzIjpbMzIsMzJdfSwidSI6eyJkdHlwZSI6IlUzMiIsInNoYXBl" +
    "IjpbMV0sImRhdGFfb2Zmc2V0cyI6WzMyLDM2XX0sIm4iOnsiZHR5cGUiOiJJMzIiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOlszNiw0NF19" +
    "LCJoYWxmIjp7ImR0eXBlIjoiRjE2Iiwic2hhcGUiOls3XSwiZGF0YV9vZmZzZXRzIjpbNDQsNThdfSwib2siOnsiZHR5cGUiOiJCT09MIiwic2hh" +
    "cGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbNTgsNjFdfX0gICAgmpmZmZmZuT8AAIA/AAAgwEdEAwAAAIB/AAAAAAAAAID//////////////38APADB" +
    "AQD/ewB8AIBVNQEAAQ==",
  "base64",
);

test("a file of the reference implementation", () => {
  const { tensors, metadata } = readSafetensors(reference);
  expect(metadata).toEqual({ format: "np", note: "ä" });
  expect(Object.fromEntries(tensors)).toEqual({
    "a.weight": value([2, 3], [1, -2.5, 3e-40, Infinity, 0, -0]),
    half: value([7], [1, -2.5, 2 ** -24, 65504, Infinity, -0, 0.333251953125]),
    n: value([2], [-1, 2 ** 31 - 1], "i32"),
    u: value([1], [2 ** 32 - 1], "u32"),
    ok: value([3], [1, 0, 1], "bool"),
    d: value([], [0.1], "f64"),
    none: value([0, 3], []),
  });
});

test("bfloat16 and the corners of float16", () => {
  const { tensors } = readSafetensors(
    file(
      { b: ["BF16", [3], [0, 6]], h: ["F16", [3], [6, 12]] },
      [0x80, 0x3f, 0x49, 0xc0, 0x80, 0x7f, 1, 0, 0, 0xfc, 1, 0x7c],
    ),
  );
  expect(tensors.get("b")).toEqual(value([3], [1, -3.140625, Infinity]));
  expect(tensors.get("h")).toEqual(value([3], [2 ** -24, -Infinity, NaN]));
});

describe("writing", () => {
  test("the header is padded so that the data are aligned, the widest first", () => {
    const bytes = writeSafetensors([
      ["flag", value([1], [1], "bool")],
      ["w", value([2], [1, 2])],
      ["d", value([1], [3], "f64")],
    ]);
    const n = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(n % 8).toBe(0);
    expect(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + n)))).toEqual({
      d: { dtype: "F64", shape: [1], data_offsets: [0, 8] },
      w: { dtype: "F32", shape: [2], data_offsets: [8, 16] },
      flag: { dtype: "BOOL", shape: [1], data_offsets: [16, 17] },
    });
    expect(bytes.length).toBe(8 + n + 17);
  });

  test("a name that occurs twice or is reserved is refused", () => {
    const v = value([1], [0]);
    expect(() =>
      writeSafetensors([
        ["w", v],
        ["w", v],
      ]),
    ).toThrow('the name "w" occurs twice');
    expect(() => writeSafetensors([["__metadata__", v]])).toThrow("is reserved");
  });

  test("what was written is read back, bit for bit, and gives the same bytes again", () => {
    const dtype = fc.constantFrom(...(Object.keys(dtypes) as DType[]));
    const shape = fc.array(fc.nat(4), { maxLength: 3 });
    const tensor = fc.tuple(dtype, shape, fc.infiniteStream(fc.nat(255))).map(([d, s, stream]) => {
      const bytes = Uint8Array.from({ length: size(s) * dtypes[d].bytes }, () => stream.next().value as number);
      return new Value(d, s, new dtypes[d].array(d === "bool" ? bytes.map((b) => b & 1).buffer : bytes.buffer));
    });
    const name = fc.string({ unit: "grapheme" }).filter((s) => s !== "__metadata__");
    const all = fc.dictionary(name, tensor, { maxKeys: 5 });
    const metadata = fc.dictionary(name, fc.string({ unit: "grapheme" }), { maxKeys: 3 });
    fc.assert(
      fc.property(all, metadata, (tensors, notes) => {
        const bytes = writeSafetensors(Object.entries(tensors), notes);
        const back = readSafetensors(bytes);
        expect([...back.tensors.keys()].sort()).toEqual(Object.keys(tensors).sort());
        expect(Object.entries(back.metadata)).toEqual(Object.entries(notes));
        for (const [key, v] of Object.entries(tensors)) {
          const got = back.tensors.get(key)!;
          expect([got.dtype, got.shape]).toEqual([v.dtype, v.shape]);
          expect(new Uint8Array(got.data.buffer)).toEqual(new Uint8Array(v.data.buffer));
        }
        expect(writeSafetensors(Object.entries(tensors), notes)).toEqual(bytes);
      }),
      { numRuns: 200, seed: 1 },
    );
  });
});

/** A file with this header object and these data. */
function file(header: Record<string, [unknown, unknown, unknown] | unknown>, data: readonly number[] = []): Uint8Array {
  const entries = Object.entries(header).map(([name, entry]) => {
    const [dtype, shape, data_offsets] = Array.isArray(entry) ? entry : [];
    return [name, Array.isArray(entry) ? { dtype, shape, data_offsets } : entry];
  });
  return raw(JSON.stringify(Object.fromEntries(entries)), data);
}

function raw(header: string, data: readonly number[] = [], claim?: bigint): Uint8Array {
  const json = new TextEncoder().encode(header);
  const out = new Uint8Array(8 + json.length + data.length);
  new DataView(out.buffer).setBigUint64(0, claim ?? BigInt(json.length), true);
  out.set(json, 8);
  out.set(data, 8 + json.length);
  return out;
}

describe("what is not as the format says is refused, with the file's name and the reason", () => {
  const four = [0, 0, 0, 0];
  const one = ["F32", [1], [0, 4]];
  const cases: Record<string, [Uint8Array, string]> = {
    empty: [new Uint8Array(0), "it has 0 bytes"],
    "seven bytes": [new Uint8Array(7), "it has 7 bytes"],
    "header longer than the file": [raw("{}", [], 3n), "its header claims 3 bytes, 2 follow: the file is cut off"],
    "huge header": [raw("{}", [], 2n ** 64n - 1n), "the format allows 100000000"],
    "no header": [raw("", [], 0n), "its header is not JSON"],
    "broken JSON": [raw('{"a":'), "its header is not JSON"],
    "not UTF-8": [new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff]), "its header is not JSON"],
    "a list": [raw("[]"), "its header is not an object"],
    "deep nesting": [raw("[".repeat(1e6)), "its header is not JSON"],
    "name twice": [
      raw('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061" : {}}', four),
      'names "a" twice',
    ],
    "dtype twice": [
      raw('{"a":{"dtype":"I32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four),
      'names "dtype" twice',
    ],
    "no description": [file({ a: 3 }), 'tensor "a" has no description'],
    "unknown dtype": [file({ a: ["F8_E4M3", [4], [0, 4]] }, four), 'tensor "a" has dtype "F8_E4M3"; known: F32'],
    "inherited dtype": [file({ a: ["constructor", [4], [0, 4]] }, four), 'has dtype "constructor"'],
    "no dtype": [file({ a: [undefined, [1], [0, 4]] }, four), 'tensor "a" has no dtype'],
    "negative shape": [file({ a: ["F32", [-1, -1], [0, 4]] }, four), "no shape of whole numbers"],
    "fractional shape": [file({ a: ["F32", [0.5, 2], [0, 4]] }, four), "no shape of whole numbers"],
    "three offsets": [file({ a: ["F32", [1], [0, 4, 4]] }, four), "no two data offsets"],
    "offsets as text": [file({ a: ["F32", [1], ["0", "4"]] }, four), "no two data offsets"],
    "out of range": [file({ a: ["F32", [1], [4, 8]] }, four), 'tensor "a" lies at 4 … 8, the data have 4 bytes'],
    backwards: [file({ a: ["F32", [1], [4, 0]] }, four), 'tensor "a" lies at 4 … 0'],
    "shape too large": [file({ a: ["F32", [2 ** 20, 2 ** 20], [0, 4]] }, four), "bytes, but has 4"],
    "shape beyond numbers": [
      file({ a: ["F32", Array(40).fill(2 ** 40), [0, 4]] }, four),
      "the shape [1099511627776,1099511627776,",
    ],
    "shape beyond numbers, times 0": [
      file({ a: ["F32", [...Array(40).fill(2 ** 40), 0], [0, 0]] }, []),
      "41 axes] is impossible: no array is as large",
    ],
    overlap: [file({ a: one, b: one }, four), 'tensor "b" overlaps another at byte 0'],
    gap: [file({ a: ["F32", [1], [4, 8]] }, [...four, ...four]), 'tensor "a" follows a gap at byte 4'],
    "bytes left over": [file({ a: one }, [...four, 1]), "1 bytes at the end belong to no tensor"],
    "cut off data": [file({ a: one }, [0, 0, 0]), "the data have 3 bytes"],
    "a bool that is neither": [file({ a: ["BOOL", [2], [0, 2]] }, [1, 2]), "holds other bytes than 0 and 1"],
    "metadata not text": [file({ __metadata__: { epoch: 3 } }), "its metadata are not texts"],
  };
  test.each(Object.entries(cases))("%s", (_, [bytes, reason]) => {
    const read = () => readSafetensors(bytes, "runs/a/model.safetensors");
    expect(read).toThrow(DownhillError);
    expect(read).toThrow("runs/a/model.safetensors: not a readable safetensors file: ");
    expect(read).toThrow(reason);
  });

  test("a prototype's name is a name like any other", () => {
    const { tensors } = readSafetensors(raw('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four));
    expect([...tensors.keys()]).toEqual(["__proto__"]);
  });
});

describe("fuzz: whatever the bytes, it is read or refused", () => {
  const readOrRefused = (bytes: Uint8Array, slack?: number) => {
    const found = orRefused(readSafetensors, bytes, slack);
    for (const v of found?.tensors.values() ?? []) expect(v.data.length).toBe(size(v.shape));
  };
  const options = { numRuns: 300, seed: 7 };

  test("cut off at every byte", () => expectRefusedWhenCut(readSafetensors, reference));

  test("a good file with bytes changed, removed or added", () => {
    fc.assert(
      fc.property(damaged(reference), (bytes) => readOrRefused(bytes)),
      options,
    );
  });

  test("any JSON as the header", () => {
    fc.assert(
      fc.property(fc.json(), fc.uint8Array({ maxLength: 16 }), (json, data) => readOrRefused(raw(json, [...data]))),
      options,
    );
  });

  test("headers that are nearly right", () => {
    const dtype = fc.constantFrom("F32", "F64", "I32", "U32", "BOOL", "F16", "BF16", "I64", "U64", "U8", "I8", "");
    const count = fc.oneof(
      fc.nat(8),
      fc.integer(),
      fc.double(),
      fc.constantFrom(2 ** 53 - 1, 2 ** 53, 2 ** 32, 2 ** 60),
    );
    const entry = fc.tuple(dtype, fc.array(count, { maxLength: 3 }), fc.array(count, { minLength: 1, maxLength: 3 }));
    const header = fc.dictionary(fc.string({ maxLength: 2 }), entry, { maxKeys: 3 });
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 16 }), (h, data) => readOrRefused(file(h, [...data]))),
      options,
    );
  });

  const deep = (n: number) => `${"[".repeat(n)}${"]".repeat(n)}`;
  const of = (dtype: string, shape: string, offsets = "[0,4]") =>
    `{"a":{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}}`;
  test.each(
    Object.entries({
      "a dtype nested deeply": of(deep(1e5), "[1]"),
      "a shape nested deeply": of('"F32"', deep(1e5)),
      "metadata nested deeply": `{"__metadata__":${deep(1e5)}}`,
      "objects nested deeply": `${'{"a":'.repeat(1e5)}1${"}".repeat(1e5)}`,
      "a million axes": of('"F32"', `[${"1,".repeat(1e6)}2]`),
      "a million entries": `{${Array.from({ length: 1e5 }, (_, k) => `"${k}":{}`)}}`,
      "a name of a million escapes": `{"${"\\n".repeat(1e6)}":{}}`,
      "a dtype of a million letters": of(`"${"F".repeat(1e6)}"`, "[1]"),
      "a shape that is too much, times 0": of('"F32"', `[${"9007199254740991,".repeat(30)}0]`),
      "offsets that are no numbers": of('"F32"', "[1]", "[0,1e999]"),
    }),
  )("%s is refused in a moment, in few words", (_, header) => {
    const bytes = raw(header, [0, 0, 0, 0]);
    expect(() => readSafetensors(bytes)).toThrow(DownhillError);
    readOrRefused(bytes);
  });
});
