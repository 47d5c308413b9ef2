/** Data files on disk: plain or gzipped, with errors that say what is wrong with the file. Node only. */
import { constants } from "node:buffer";
import { readFileSync, statSync } from "node:fs";
import { getHeapStatistics } from "node:v8";
import { gunzipSync } from "node:zlib";
import { fail } from "../ir/fail.ts";
import { type CsvOptions, parseCsv } from "./csv.ts";
import { type Idx, parseIdx } from "./idx.ts";
import type { Table } from "./table.ts";
import { parseText } from "./text.ts";

/** The bytes of a file, unpacked if they are gzip whatever its name. Throws when it is missing, unreadable or damaged. */
export function readBytes(path: string): Uint8Array {
  const bytes = readRaw(path);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: constants.MAX_STRING_LENGTH });
  } catch (error) {
    if (codeOf(error) === "ERR_BUFFER_TOO_LARGE") refuseSize(path, "unpacks to more than");
    if (codeOf(error) === "Z_BUF_ERROR") return fail(`${path}: the gzip data ends too early`, "copy the file again");
    return fail(`${path}: the gzip data is damaged (${messageOf(error)})`, "copy the file again");
  }
}

/** A CSV file, plain or gzipped, as a table. Throws what `readBytes` and `parseCsv` throw. */
export function readCsv(path: string, options: CsvOptions = {}): Table {
  const bytes = readBytes(path);
  const { heap_size_limit: limit, used_heap_size: used } = getHeapStatistics();
  if (bytes.length * heapPerByte > limit - used) {
    fail(
      `${path}: ${mb(bytes.length)} of CSV need about ${mb(bytes.length * heapPerByte)} of memory, ` +
        `${mb(limit - used)} are free`,
      "use a part of the rows, or raise the limit: NODE_OPTIONS=--max-old-space-size=<MB>",
    );
  }
  return parseCsv(bytes, { source: path, ...options });
}

/** An IDX file, plain or gzipped. Throws what `readBytes` and `parseIdx` throw. */
export const readIdx = (path: string): Idx => parseIdx(readBytes(path), path);

/** A text in UTF-8, plain or gzipped. Throws what `readBytes` and `parseText` throw. */
export const readText = (path: string): string => parseText(readBytes(path), path);

/** Heap taken while a CSV file is read, per byte of it: one string and one slot per short cell. */
const heapPerByte = 16;

function readRaw(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size > constants.MAX_STRING_LENGTH) refuseSize(path, "has more than");
    return readFileSync(path);
  } catch (error) {
    switch (codeOf(error)) {
      case "ENOENT":
      case "ENOTDIR":
        return fail(`${path}: no such file`);
      case "EISDIR":
        return fail(`${path}: this is a folder, not a file`);
      case "EACCES":
      case "EPERM":
        return fail(`${path}: no permission to read this file`);
      case undefined:
        throw error;
      default:
        return fail(`${path}: cannot be read (${messageOf(error)})`);
    }
  }
}

function refuseSize(path: string, what: string): never {
  fail(`${path}: ${what} ${mb(constants.MAX_STRING_LENGTH)}, the most that is read at once`, "use a part of the rows");
}

const mb = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
