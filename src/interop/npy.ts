/**
 * NumPy's .npy: one array.
 *
 *   \x93NUMPY │ version │ u16 or u32 n │ header: n bytes of a Python literal, padded │ the elements
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 *
 * Source: NEP 1 and numpy/lib/_format_impl.py. Nothing is allocated before the shape is checked against the bytes present.
 */
import { type DType, dtypes } from "../ir/dtype.ts";
import { fail, requireBytes } from "../ir/fail.ts";
import { type Shape, strides } from "../ir/shape.ts";
import { Value } from "../ir/value.ts";
import { readStored, type Stored, shapeText, stored, storedBytes } from "../train/stored.ts";
import { requireValue } from "./given.ts";

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY

/** Header length and text of each version: 2 came with structured dtypes, 3 with their names in other alphabets. */
const versions: Readonly<Record<number, { readonly bytes: 2 | 4; readonly encoding: string }>> = {
  1: { bytes: 2, encoding: "latin1" },
  2: { bytes: 4, encoding: "latin1" },
  3: { bytes: 4, encoding: "utf-8" },
};

/** NumPy's own limit, so that no file claims a million axes. */
const mostAxes = 64;
/** More than 64 axes of 20 digits need. */
const longestHeader = 2 ** 16;

const types: Readonly<Record<string, Stored>> = {
  b1: "bool",
  i1: "i8",
  i2: "i16",
  i4: "i32",
  i8: "i64",
  u1: "u8",
  u2: "u16",
  u4: "u32",
  u8: "u64",
  f2: "f16",
  f4: "f32",
  f8: "f64",
};

/** What NumPy has and tensors have not, by its letter. */
const refused: Readonly<Record<string, string>> = {
  O: "Python objects, which are pickled programs: whoever reads them runs them",
  S: "bytes of text",
  U: "text",
  V: "raw bytes without a type (bfloat16 and float8 are written so)",
  c: "complex numbers",
  M: "dates",
  m: "durations",
  f: "extended precision, which differs between machines",
};

/**
 * An array in our dtypes: f2 becomes f32, i1 and i2 i32, u1 and u2 u32; i8 and u8 (of 64 bits) become i32 and u32 where
 * every number fits. Both byte orders, both memory orders; the result is row-major.
 *
 * Throws a DownhillError that names `source` where the bytes are no such file, end too early or go on after the last
 * element, and where the dtype is none of numbers.
 */
export function readNpy(file: Uint8Array, source = "npy"): Value {
  requireBytes("readNpy", file);
  const bad = (reason: string, hint?: string): never => fail(`${source}: not a readable .npy file: ${reason}`, hint);
  if (file.length < 10) bad(`it has ${file.length} bytes, the shortest has more than 10`);
  if (magic.some((byte, k) => file[k] !== byte)) bad(`it does not start with \\x93NUMPY`);
  const version = versions[file[6]!];
  if (!version || file[7] !== 0) return bad(`its version is ${file[6]}.${file[7]}; known: 1.0, 2.0, 3.0`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const start = 8 + version.bytes;
  if (file.length < start) bad(`it has ${file.length} bytes, its header begins at ${start}`);
  const n = version.bytes === 2 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (start + n > file.length) bad(`its header claims ${n} bytes, ${file.length - start} follow: the file is cut off`);
  if (n > longestHeader) bad(`its header has ${n} bytes, as only that of a structured array has`, byField);

  const { descr, fortran, shape } = parseHeader(file.subarray(start, start + n), version.encoding, bad);
  const [type, bigEndian] = typeOf(descr, bad);
  const data = file.subarray(start + n);
  const bytes = storedBytes(type, shape, bad);
  if (bytes !== data.length) {
    bad(
      `'${descr}' of shape ${shapeText(shape)} takes ${bytes} bytes after the header, the file has ${data.length}`,
      data.length > bytes
        ? "of several arrays saved into one file none is read: save them with np.savez"
        : "the file is cut off, or its header is damaged",
    );
  }
  const little = bigEndian ? swapped(data, stored[type].bytes) : data;
  if (!fortran || shape.length < 2) return readStored(type, shape, little, bad);
  return transposed(readStored(type, shape.toReversed(), little, bad));
}

/**
 * An array as `np.save` writes it, in version 1, little-endian and row-major: the same bytes (NumPy ≥ 1.25).
 * f32 '<f4', f64 '<f8', i32 '<i4', u32 '<u4', bool '|b1'.
 */
export function writeNpy(v: Value): Uint8Array<ArrayBuffer> {
  requireValue("writeNpy", v);
  const { dtype, shape, data } = v;
  if (shape.length > mostAxes) fail(`npy: an array has at most ${mostAxes} axes, this is ${dtype}${shapeText(shape)}`);
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const literal = `{'descr': '${descrOf[dtype]}', 'fortran_order': False, 'shape': ${tuple}, }`;
  // Room to write a longer first axis in place, as NumPy leaves it, and then to a multiple of 64.
  const room = shape.length > 0 ? 21 - `${shape[0]}`.length : 0;
  const n = literal.length + room + 1;
  const start = (Math.floor((10 + n) / 64) + 1) * 64; // never 0 bytes of padding: also as NumPy does
  const out = new Uint8Array(start + data.byteLength);
  out.set([...magic, 1, 0]);
  new DataView(out.buffer).setUint16(8, start - 10, true);
  out.fill(0x20, 10, start);
  out.set(new TextEncoder().encode(literal), 10);
  out[start - 1] = 0x0a;
  out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start);
  return out;
}

const descrOf: Record<DType, string> = { f32: "<f4", f64: "<f8", i32: "<i4", u32: "<u4", bool: "|b1" };

const byField = "save each field as an array of its own";

type Bad = (reason: string, hint?: string) => never;
type Header = { readonly descr: string; readonly fortran: boolean; readonly shape: Shape };

/** The three keys in any order, and nothing else. A list for a descr is kept as "[", for its reason to be said later. */
function parseHeader(bytes: Uint8Array, encoding: string, bad: Bad): Header {
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return bad("its header is not UTF-8");
  }
  const shown = JSON.stringify(text.slice(0, 200).trim());
  if (/['"]descr['"]\s*:\s*\[/.test(text)) {
    bad(`it is a structured array, records with fields: ${shown}`, byField);
  }
  let rest = text;
  const take = (pattern: RegExp): string => {
    const found = pattern.exec(rest);
    if (!found) return bad(`its header is ${shown}`);
    rest = rest.slice(0, found.index) + rest.slice(found.index + found[0].length);
    return found[1]!;
  };
  const descr = take(/['"]descr['"]\s*:\s*['"]([^'"]*)['"]/);
  const order = take(/['"]fortran_order['"]\s*:\s*(True|False)/);
  const sizes = take(/['"]shape['"]\s*:\s*\(([\d\s,L]*)\)/);
  if (!/^\s*\{[\s,]*\}\s*$/.test(rest)) bad(`its header is ${shown}`);
  return { descr, fortran: order === "True", shape: parseShape(sizes, shown, bad) };
}

/** What a Python tuple has between its parentheses; Python 2 wrote an L after long numbers. */
function parseShape(text: string, shown: string, bad: Bad): number[] {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.at(-1) === "") parts.pop();
  if (parts.length > mostAxes) bad(`it has ${parts.length} axes, NumPy allows ${mostAxes}`);
  return parts.map((part) => {
    const n = /^\d+L?$/.test(part) ? Number.parseInt(part, 10) : NaN;
    return Number.isSafeInteger(n) ? n : bad(`its shape has no whole numbers: ${shown}`);
  });
}

/** How the elements are stored, and whether the highest byte comes first. */
function typeOf(descr: string, bad: Bad): [type: Stored, bigEndian: boolean] {
  const [, order, name] = /^([<>|=]?)(.*)$/s.exec(descr)!;
  const type = Object.hasOwn(types, name!) ? types[name!] : undefined;
  if (type) return [type, order === ">"];
  const reason = refused[name![0] ?? ""];
  return bad(
    `its dtype is ${JSON.stringify(descr.slice(0, 40))}${reason ? `: ${reason}` : ""}`,
    `readable are ${Object.keys(types).join(", ")}: convert it with array.astype, for example to np.float32`,
  );
}

/** The same elements with their bytes the other way round. */
function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const out = new Uint8Array(bytes); // a Buffer's slice would share its memory
  for (let at = 0; at < out.length; at += width) out.subarray(at, at + width).reverse();
  return out;
}

/** All axes in reverse: what was column-major in that order is row-major in this one. */
function transposed(v: Value): Value {
  const shape = v.shape.toReversed();
  const out = new dtypes[v.dtype].array(v.data.length);
  const step = strides(v.shape).toReversed();
  const index = shape.map(() => 0);
  let from = 0;
  for (let k = 0; k < out.length; k++) {
    out[k] = v.data[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += step[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= step[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return new Value(v.dtype, shape, out);
}
