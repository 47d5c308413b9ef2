/** .npy and .npz: against NumPy's own files, and against hostile bytes. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { deflateSync, zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { readNpy, readNpz, writeNpy, writeNpz } from "../../src/interop/index.ts";
import { type DType, dtypes } from "../../src/ir/dtype.ts";
import { size } from "../../src/ir/shape.ts";
import { Value, value } from "../../src/ir/value.ts";
import { damaged, expectRefusedWhenCut, orRefused } from "../hostile.ts";

type Golden = {
  cases: {
    name: string;
    file: string;
    dtype: DType;
    shape: number[];
    data: (number | string)[];
    same: boolean;
  }[];
  refused: { reason: string; file: string }[];
  npz: { members: Record<string, string>; stored: string; deflated: string; unnamed: string };
};
const golden = JSON.parse(readFileSync(new URL("../golden/interop/arrays.json", import.meta.url), "utf8")) as Golden;

const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));

describe("NumPy's arrays", () => {
  test.each(golden.cases)("$name", ({ file, dtype, shape, data, same }) => {
    const v = readNpy(bytesOf(file));
    expect(v).toEqual(value(shape, data.map(Number), dtype));
    const written = writeNpy(v);
    if (same) expect(written).toEqual(bytesOf(file));
    expect(readNpy(written)).toEqual(v);
  });

  test.each(golden.refused)("refused: $reason", ({ reason, file }) => {
    expect(() => readNpy(bytesOf(file), "x.npy")).toThrow(`x.npy: not a readable .npy file: `);
    expect(() => readNpy(bytesOf(file))).toThrow(reason);
  });

  test("from the middle of a larger buffer, and a copy of it", () => {
    const file = bytesOf(golden.cases.find(({ name }) => name === "<f4")!.file);
    const inside = Buffer.from([1, 2, 3, ...file, 4]).subarray(3, 3 + file.length);
    const v = readNpy(inside);
    expect(v).toEqual(readNpy(file));
    inside.fill(0xff);
    expect(v).toEqual(readNpy(file));
  });

  test("more axes than NumPy has are not written", () => {
    expect(() => writeNpy(value(Array(65).fill(1), [1]))).toThrow("an array has at most 64 axes");
  });
});

const latin = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const npy = (header: string, data: readonly number[] = [], claim = header.length) =>
  Uint8Array.from([...latin("\x93NUMPY\x01\x00"), claim & 255, claim >> 8, ...latin(header), ...data]);
const dict = (descr: string, shape: string, order = "False") =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }`;

describe("headers as nobody but a stranger writes them", () => {
  test("keys in any order, other quotes, spaces, and longs of Python 2", () => {
    const header = `{ "shape":(2L,1L) , "fortran_order" : False,"descr":"<u1"}\n`;
    expect(readNpy(npy(header, [7, 8]))).toEqual(value([2, 1], [7, 8], "u32"));
  });

  const cases: Record<string, [Uint8Array, string]> = {
    empty: [new Uint8Array(0), "it has 0 bytes"],
    "another format": [latin("PK\x03\x04 and so on"), "it does not start with \\x93NUMPY"],
    "version 4": [latin("\x93NUMPY\x04\x00\x00\x00"), "its version is 4.0; known: 1.0, 2.0, 3.0"],
    "version 1.1": [latin("\x93NUMPY\x01\x01\x00\x00"), "its version is 1.1"],
    "no room for the length": [latin("\x93NUMPY\x02\x00\x00\x00"), "its header begins at 12"],
    "a header beyond the file": [npy("{}", [], 0xffff), "its header claims 65535 bytes, 2 follow"],
    "a huge header": [latin(`\x93NUMPY\x02\x00\xff\xff\xff\xff{}`), "its header claims 4294967295 bytes, 2 follow"],
    "a header longer than numbers need": [
      Uint8Array.from([...latin("\x93NUMPY\x02\x00\x00\x00\x02\x00"), ...new Uint8Array(2 ** 17)]),
      "its header has 131072 bytes, as only that of a structured array has",
    ],
    "not UTF-8": [latin("\x93NUMPY\x03\x00\x02\x00\x00\x00\xff\xff"), "its header is not UTF-8"],
    "no dictionary": [npy("[1, 2]"), 'its header is "[1, 2]"'],
    "a key twice": [npy(dict("'<f4'", "()").replace("}", "'shape': (1,)}")), "its header is"],
    "another key": [npy(dict("'<f4'", "()").replace("}", "'pickle': 1}")), "its header is"],
    "a call": [npy(dict("'<f4'", "__import__('os').system('ls')")), "its header is"],
    "a negative size": [npy(dict("'<f4'", "(-1, -1)")), "its header is"],
    "a fractional size": [npy(dict("'<f4'", "(1.5,)")), "its header is"],
    "two numbers without a comma": [npy(dict("'<f4'", "(1 2)")), "its shape has no whole numbers"],
    "a size beyond numbers": [npy(dict("'<f4'", `(${"9".repeat(400)},)`)), "its shape has no whole numbers"],
    "too many axes": [npy(dict("'<f4'", `(${"1, ".repeat(65)})`), [0, 0, 0, 0]), "it has 65 axes, NumPy allows 64"],
    "a product beyond numbers": [npy(dict("'<f4'", `(${"9007199254740991, ".repeat(64)})`)), "is impossible"],
    "a product beyond numbers, times 0": [
      npy(dict("'<f4'", `(${"9007199254740991, ".repeat(63)}0)`)),
      "not a readable .npy file: the shape [9007199254740991,9007199254740991,",
    ],
    "a byte too few": [npy(dict("'<f4'", "(1,)"), [0, 0, 0]), "'<f4' of shape [1] takes 4 bytes after the header"],
    "a byte too many": [npy(dict("'|u1'", "(1,)"), [0, 0]), "of several arrays saved into one file none is read"],
    "an unknown dtype": [npy(dict("'<q9'", "(1,)")), 'its dtype is "<q9"'],
    "an inherited dtype": [npy(dict("'constructor'", "(1,)")), 'its dtype is "constructor"'],
    "a bool that is neither": [npy(dict("'|b1'", "(2,)"), [1, 2]), "holds other bytes than 0 and 1"],
  };
  test.each(Object.entries(cases))("%s", (_, [bytes, reason]) => {
    expect(() => readNpy(bytes, "w.npy")).toThrow("w.npy: not a readable .npy file: ");
    expect(() => readNpy(bytes, "w.npy")).toThrow(reason);
    expect(orRefused(readNpy, bytes)).toBeUndefined();
  });

  test("cut off at every byte", () => {
    for (const name of ["<f2", ">i8, column-major", "version 3"]) {
      expectRefusedWhenCut(readNpy, bytesOf(golden.cases.find((c) => c.name === name)!.file));
    }
  });

  test("fuzz: NumPy's files damaged, and headers that are nearly right", () => {
    const options = { numRuns: 300, seed: 3 };
    const files = golden.cases.filter(({ name }) => /^[<>|]|three axes/.test(name)).map(({ file }) => bytesOf(file));
    const whole = (v: Value | undefined) => v && expect(v.data.length).toBe(size(v.shape));
    fc.assert(
      fc.property(fc.constantFrom(...files).chain(damaged), (bytes) => void whole(orRefused(readNpy, bytes))),
      options,
    );
    const count = fc.oneof(fc.nat(4), fc.integer(), fc.constantFrom("2L", "1e9", "0x10", "None", 2 ** 53, 2 ** 32));
    const shape = fc.array(count, { maxLength: 4 }).map((list) => `(${list.join(", ")})`);
    const descr = fc.constantFrom("'<f4'", "'>f8'", "'|b1'", "'<i8'", "'|O'", "''", "[('x', '<f4')]", "None");
    const order = fc.constantFrom("True", "False", "1");
    fc.assert(
      fc.property(descr, shape, order, fc.uint8Array({ maxLength: 64 }), (d, s, o, data) => {
        whole(orRefused(readNpy, npy(dict(d, s, o), [...data])));
      }),
      options,
    );
  });
});

describe("NumPy's archives", () => {
  const members = new Map(Object.entries(golden.npz.members).map(([name, file]) => [name, readNpy(bytesOf(file))]));

  test.each(["stored", "deflated"] as const)("%s", (kind) => {
    expect(readNpz(bytesOf(golden.npz[kind]))).toEqual(members);
  });

  test("arrays without names", () => {
    expect([...readNpz(bytesOf(golden.npz.unnamed)).keys()]).toEqual(["arr_0"]);
  });

  test("what is written is read again, in the same bytes each time", () => {
    for (const compress of [false, true]) {
      const file = writeNpz(members, { compress });
      expect(readNpz(file)).toEqual(members);
      expect(writeNpz(members, { compress })).toEqual(file);
    }
    expect(readNpz(writeNpz([]))).toEqual(new Map());
  });

  test("what is written is what scripts/golden/read-ours.py saw NumPy read", async () => {
    const arrays = golden.cases.map(({ name, file }): [string, Value] => [name, readNpy(bytesOf(file))]);
    const files = { stored: writeNpz(arrays), deflated: writeNpz(arrays, { compress: true }) };
    for (const [kind, file] of Object.entries(files)) {
      const path = `../golden/interop/ours-${kind}.npz.base64`;
      await expect(Buffer.from(file).toString("base64")).toMatchFileSnapshot(path);
    }
  });

  test("names that are refused when writing", () => {
    const v = value([1], [0]);
    const twice: [string, Value][] = [
      ["w", v],
      ["w", v],
    ];
    expect(() => writeNpz(twice)).toThrow('the name "w" occurs twice');
    for (const name of ["../w", "/w", "a/../../w", "a\\..\\w", "C:w", "w\0"]) {
      expect(() => writeNpz([[name, v]])).toThrow("is a path out of the archive");
    }
    const fine = ["a/b", "..w", "w..", "", "__proto__", "constructor", "ä"];
    expect([...readNpz(writeNpz(fine.map((name) => [name, v]))).keys()].sort()).toEqual(fine.sort());
  });
});

/** What fflate needs to inflate a member or two of any size. */
const inflating = 2 ** 20;

describe("archives of strangers", () => {
  const one = writeNpy(value([3], [1, 2, 3]));
  const zipped = (files: Record<string, Uint8Array>, level: 0 | 1 = 0) => zipSync(files, { level });
  const good = zipped({ "a.npy": one, "b.npy": one });
  /** A good archive with some bytes of the k-th record of a kind replaced. */
  const patched = (signature: number, k: number, offset: number, ...bytes: number[]) => {
    const file = good.slice();
    const view = new DataView(file.buffer);
    let at = -1;
    for (let left = k; left >= 0; left--) {
      do at++;
      while (view.getUint32(at, true) !== signature);
    }
    file.set(bytes, at + offset);
    return file;
  };
  const [local, central, end] = [0x04034b50, 0x02014b50, 0x06054b50];
  const all = [255, 255, 255, 255];
  /** A deflated member of n zeros that says it has `claim`. */
  const bomb = (n: number, claim: number) => {
    const file = zipped({ "a.npy": new Uint8Array(n) }, 1);
    const at = file.length - 22 - 46 - "a.npy".length;
    new DataView(file.buffer).setUint32(at + 24, claim, true);
    return file;
  };

  const cases: Record<string, [Uint8Array, string]> = {
    empty: [new Uint8Array(0), "it has no directory at its end"],
    "another format": [one, "it has no directory at its end"],
    "a byte after the end": [Uint8Array.from([...good, 0]), "it has no directory at its end"],
    "a directory beyond the file": [patched(end, 0, 16, 0, 0, 0, 127), "its directory claims bytes"],
    "ZIP64 directory": [patched(end, 0, 16, ...all), "it is in the ZIP64 format"],
    "ZIP64 member": [patched(central, 0, 24, ...all), "it is in the ZIP64 format"],
    "more entries than there are": [patched(end, 0, 8, 3, 0, 3, 0), "entry 2 of its directory is damaged"],
    "one of several disks": [patched(end, 0, 4, 1), "it is one part of several"],
    "a name beyond the directory": [patched(central, 1, 28, 255, 255), "entry 1 of its directory is damaged"],
    "a name that is not UTF-8": [patched(central, 0, 46, 0xff), "a member's name is not UTF-8"],
    "a name twice": [patched(central, 1, 46, 0x61), 'member "a.npy" occurs twice'],
    encrypted: [patched(central, 0, 8, 1), 'member "a.npy" is encrypted'],
    "bzip2, method 12": [patched(central, 0, 10, 12), 'member "a.npy" is packed by method 12'],
    "a member elsewhere": [patched(central, 0, 42, 1), 'member "a.npy" is not at byte 1'],
    "a member beyond the directory": [patched(local, 1, 28, 255, 255), 'member "b.npy" claims bytes'],
    "a member in another": [patched(central, 1, 42, 0, 0), 'member "b.npy" overlaps another'],
    "a size that is not": [patched(central, 0, 24, 1, 0, 0), 'member "a.npy" claims 1 bytes, and 140 bytes'],
    "a wrong checksum": [patched(central, 0, 16, 0, 0), 'member "a.npy" is damaged: its checksum differs'],
    "a member that is no array": [zipped({ "a.txt": one }), 'it holds "a.txt", which is no .npy'],
    "an object of Python": [zipped({ "a.npy": npy(dict("'|O'", "()")) }), 'array "a": not a readable .npy file'],
    "a path out of it": [zipped({ "../a.npy": one }), '"../a.npy" is a path out of the archive'],
    "a bomb": [bomb(70e6, 70e6), "would become 70000000, more than the limit of 67108864"],
    "a bomb that claims more than deflate can do": [bomb(1e4, 5e7), "claims 50000000 bytes, and"],
    "a bomb that claims little": [bomb(5e6, 100), "is longer than the 100 bytes that it claims"],
    "a member shorter than it claims": [bomb(5000, 5001), "has 5000 bytes and claims 5001"],
    "no deflate": [patched(central, 0, 10, 8), 'member "a.npy"'],
  };
  test.each(Object.entries(cases))("%s", (_, [bytes, reason]) => {
    expect(() => readNpz(bytes, "m.npz")).toThrow("m.npz");
    expect(() => readNpz(bytes, "m.npz")).toThrow(reason);
  });

  test("nothing is allocated for what is only claimed, and little for what is too much", () => {
    for (const [, [bytes]] of Object.entries(cases)) {
      // pieces of 16 KiB are inflated at a time, to a thousand times as much at worst
      expect(orRefused(readNpz, bytes, 2 ** 25)).toBeUndefined();
    }
  });

  test("the limit is the caller's to raise, and to lower", () => {
    const hint = "would become 280, more than the limit of 279\n  hint: if you know where it is from: { limit: 280 }";
    expect(() => readNpz(good, "m.npz", { limit: 279 })).toThrow(hint);
    expect(readNpz(good, "m.npz", { limit: 280 }).size).toBe(2);
  });

  test("cut off at every byte", () => {
    expectRefusedWhenCut(readNpz, good);
    expectRefusedWhenCut(readNpz, bytesOf(golden.npz.deflated));
  });

  test("fuzz: archives damaged anywhere, and deflated bytes of any kind", () => {
    const options = { numRuns: 400, seed: 5 };
    const files = [good, bytesOf(golden.npz.deflated), bytesOf(golden.npz.stored)];
    fc.assert(
      fc.property(fc.constantFrom(...files).chain(damaged), (bytes) => void orRefused(readNpz, bytes, inflating)),
      options,
    );
    const packed = deflateSync(Uint8Array.from({ length: 400 }, (_, k) => (k * k) & 255));
    const wrapped = (content: Uint8Array) => {
      const file = zipped({ "a.npy": content });
      file[file.length - 22 - 46 - 5 + 10] = 8; // stored as it is, and called deflated
      return file;
    };
    fc.assert(
      fc.property(fc.oneof(damaged(packed), fc.uint8Array({ maxLength: 200 })), (content) => {
        orRefused(readNpz, wrapped(content), inflating);
      }),
      options,
    );
  });
});

test("fuzz: any arrays are written and read, bit for bit", () => {
  const dtype = fc.constantFrom(...(Object.keys(dtypes) as DType[]));
  const shape = fc.array(fc.nat(4), { maxLength: 4 });
  const tensor = fc.tuple(dtype, shape, fc.infiniteStream(fc.nat(255))).map(([d, s, stream]) => {
    const bytes = Uint8Array.from({ length: size(s) * dtypes[d].bytes }, () => stream.next().value as number);
    return new Value(d, s, new dtypes[d].array(d === "bool" ? bytes.map((b) => b & 1).buffer : bytes.buffer));
  });
  fc.assert(
    fc.property(tensor, (v) => {
      const back = readNpy(writeNpy(v));
      expect([back.dtype, back.shape]).toEqual([v.dtype, v.shape]);
      expect(new Uint8Array(back.data.buffer)).toEqual(new Uint8Array(v.data.buffer));
    }),
    { numRuns: 200, seed: 1 },
  );
});
