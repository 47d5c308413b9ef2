/**
 * Zip archives: the directory at the end is read here, and the members are inflated by fflate.
 *
 * fflate alone checks neither sums nor names, and inflates whatever comes. Here nothing is inflated before all sizes are
 * known and their sum is within a limit, and inflating ends where a member gets longer than it said it was.
 * Source: APPNOTE.TXT 6.3.10 of PKWARE, sections 4.3.7, 4.3.12 and 4.3.16.
 */
import { Inflate, zipSync } from "fflate";
import { DownhillError } from "../ir/fail.ts";
import { crc32 } from "./crc.ts";

export type Member = { readonly name: string; readonly size: number; readonly read: () => Uint8Array<ArrayBuffer> };

type Bad = (reason: string, hint?: string) => never;

/** Members stored as they are, and those that deflate made smaller. */
const methods = { stored: 0, deflated: 8 };
/** Deflate turns 258 bytes into 2 bits at best. */
const bestRatio = 1032;
/** At the end, when the comment after it is as long as it may be. */
const longestEnd = 22 + 0xffff;

/**
 * The members, in the order of the directory; `read` gives the bytes of one. `limit` bounds the sum of what they inflate
 * to, in bytes. `bad` is told what is wrong, here and in `read`, and throws.
 */
export function openZip(file: Uint8Array, limit: number, bad: Bad): Member[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const u16 = (at: number) => view.getUint16(at, true);
  const u32 = (at: number) => view.getUint32(at, true);

  let end = file.length - 22;
  const last = Math.max(0, file.length - longestEnd);
  while (end >= last && !(u32(end) === 0x06054b50 && end + 22 + u16(end + 20) === file.length)) end--;
  if (end < last) bad("it has no directory at its end: it is no zip archive, or it is cut off");
  const [count, length, start] = [u16(end + 10), u32(end + 12), u32(end + 16)];
  if (count === 0xffff || length === 0xffffffff || start === 0xffffffff) bad(zip64, inParts);
  if (u16(end + 4) !== 0 || u16(end + 6) !== 0 || u16(end + 8) !== count) bad("it is one part of several");
  if (start + length > end) bad(`its directory claims bytes ${start} … ${start + length}, it ends at ${end}`);

  const entries = [];
  const names = new Set<string>();
  let at = start;
  for (let k = 0; k < count; k++) {
    if (at + 46 > end || u32(at) !== 0x02014b50) bad(`entry ${k} of its directory is damaged`);
    const next = at + 46 + u16(at + 28) + u16(at + 30) + u16(at + 32);
    if (next > end) bad(`entry ${k} of its directory is damaged`);
    const name = nameOf(file.subarray(at + 46, at + 46 + u16(at + 28)), bad);
    const what = `member ${JSON.stringify(name.slice(0, 200))}`;
    if (names.has(name)) bad(`${what} occurs twice`);
    names.add(name);
    const [flags, method, sum] = [u16(at + 8), u16(at + 10), u32(at + 16)];
    const [packed, size, header] = [u32(at + 20), u32(at + 24), u32(at + 42)];
    if (packed === 0xffffffff || size === 0xffffffff || header === 0xffffffff) bad(zip64, inParts);
    if (flags & 1) bad(`${what} is encrypted`);
    if (method !== methods.stored && method !== methods.deflated) {
      bad(`${what} is packed by method ${method}; known: 0 (stored), 8 (deflated)`);
    }
    if (header + 30 > start || u32(header) !== 0x04034b50)
      bad(`${what} is not at byte ${header}, where it should begin`);
    const from = header + 30 + u16(header + 26) + u16(header + 28);
    if (from + packed > start) bad(`${what} claims bytes ${from} … ${from + packed}, the directory begins at ${start}`);
    const possible = method === methods.stored ? size === packed : size <= packed * bestRatio;
    if (!possible) bad(`${what} claims ${size} bytes, and ${packed} bytes cannot hold them`);
    entries.push({ name, what, method, sum, size, from, to: from + packed, header });
    at = next;
  }

  let free = 0;
  for (const { what, header, to } of entries.toSorted((a, b) => a.header - b.header)) {
    if (header < free) bad(`${what} overlaps another`);
    free = to;
  }
  const total = entries.reduce((sum, { size }) => sum + size, 0);
  if (total > limit) {
    const hint = `if you know where it is from: { limit: ${total} }`;
    bad(`its ${file.length} bytes would become ${total}, more than the limit of ${limit}`, hint);
  }
  return entries.map(({ name, what, method, sum, size, from, to }) => ({
    name,
    size,
    read: () => {
      const packed = file.subarray(from, to);
      const bytes = method === methods.stored ? new Uint8Array(packed) : inflated(packed, size, what, bad);
      if (crc32(bytes) !== sum) bad(`${what} is damaged: its checksum differs`);
      return bytes;
    },
  }));
}

const zip64 = "it is in the ZIP64 format, for archives of 2 GiB and more";
const inParts = "save its arrays into several files";

/** Names and bytes as an archive; the same members give the same bytes. `level` 0 stores, 1 … 9 deflate. */
export function makeZip(members: ReadonlyMap<string, Uint8Array>, level: 0 | 6): Uint8Array<ArrayBuffer> {
  // zip keeps local time without a zone, from 1980 on
  return zipSync(Object.fromEntries(members), { level, mtime: new Date(1980, 0, 1) });
}

function nameOf(bytes: Uint8Array, bad: Bad): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return bad("a member's name is not UTF-8");
  }
}

/** A little at a time, so that a member longer than `size` is noticed before it has been inflated to its end. */
function inflated(packed: Uint8Array, size: number, what: string, bad: Bad): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(size);
  let done = 0;
  const inflate = new Inflate((chunk) => {
    if (done + chunk.length > size) bad(`${what} is longer than the ${size} bytes that it claims`);
    out.set(chunk, done);
    done += chunk.length;
  });
  const piece = 2 ** 14;
  try {
    for (let at = 0; at < packed.length; at += piece) {
      inflate.push(packed.subarray(at, at + piece), at + piece >= packed.length);
    }
  } catch (error) {
    if (error instanceof DownhillError) throw error;
    bad(`${what} cannot be inflated (${error instanceof Error ? error.message : error})`);
  }
  if (done !== size) bad(`${what} has ${done} bytes and claims ${size}`);
  return out;
}
