/**
 * Errors that teach: what, where, why, and what to do.
 *
 *   matmul: f32[2,3] · f32[4,5]: the inner sizes 3 and 4 differ
 *     hint: …
 *     at net.layers.0 (examples/digits.ts:4)
 */

/** A mistake in what the user gave us, as opposed to a fault of ours. The command line prints its message alone. */
export class DownhillError extends Error {
  override readonly name = "DownhillError";
}

let path = "";
let way: Trail | undefined;

/** Run `body` inside a module: what it traces, and what fails in it, carries the path. */
export const within = <T>(name: string, body: () => T): T => enter(path ? `${path}.${name}` : name, body);

/** Run `body`, from which other code of the user's is called: stacks below are only looked at down to here. */
export const entering = <T>(body: () => T): T => enter(path, body);

function enter<T>(inside: string, body: () => T): T {
  const outer = [path, way] as const;
  way = trail();
  path = inside;
  try {
    return body();
  } finally {
    [path, way] = outer;
  }
}

/** Throws unless it is bytes: most often the name of a file is given in their place. */
export function requireBytes(what: string, given: unknown): void {
  if (given instanceof Uint8Array) return;
  const hint = typeof given === "string" ? `${what}(readFileSync(${shown(given)}))` : "such as readFileSync gives";
  fail(`${what}: expected the bytes of a file, a Uint8Array, got ${shown(given)}`, hint);
}

/** The module path in force, such as `net.layers.0`; empty outside of any module. */
export const modulePath = (): string => path;

/** Throw a DownhillError that names the module path and the first line outside this library. */
export function fail(message: string, hint?: string): never {
  const lines = [message];
  if (hint) lines.push(`  hint: ${hint}`);
  const at = where(modulePath(), userLine(trail()));
  if (at) lines.push(`  at ${at}`);
  throw new DownhillError(lines.join("\n"));
}

/** What somebody gave in place of what was wanted, in a few words. */
export function shown(x: unknown): string {
  if (typeof x === "string") return JSON.stringify(x.length > 40 ? `${x.slice(0, 40)}…` : x);
  if (typeof x === "function") return x.name ? `the function ${x.name}` : "a function";
  if (typeof x !== "object" || x === null) return String(x);
  if (Array.isArray(x)) return `an array of ${x.length}`;
  if (x instanceof Promise) return "a Promise, which must be awaited";
  if (ArrayBuffer.isView(x)) return `${named(x.constructor.name)} of ${"length" in x ? x.length : x.byteLength}`;
  const proto = Object.getPrototypeOf(x);
  if (proto !== Object.prototype && proto !== null) return `${named(proto.constructor.name)}${ownText(x)}`;
  const names = Object.keys(x);
  if (names.length === 0) return "an empty object";
  return `an object with ${names.slice(0, 5).join(", ")}${names.length > 5 ? " …" : ""}`;
}

const named = (name: string): string => `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;

/** Of a Tensor or a Value: its dtype and shape. */
const ownText = (x: object): string => (x.toString === Object.prototype.toString ? "" : ` ${x}`);

/** A piece of the stack, and the way to the frame where it begins. As text only once `stack` is read. */
export type Trail = { readonly piece: { readonly stack?: string }; readonly from: Trail | undefined };

// Frames. By itself a host keeps 10, and each costs about 0.4 µs for every node of a graph.
const WHOLE = 60;
const PIECE = 20; // from a node to the module it is in: more than any composite of ours is deep

/** Where we are. */
export function trail(): Trail {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = way ? PIECE : WHOLE;
  const piece = new Error();
  Error.stackTraceLimit = limit;
  return { piece, from: way };
}

export const where = (module: string, line: string | undefined): string =>
  module && line ? `${module} (${line})` : module || line || "";

const here = import.meta.url.slice(0, import.meta.url.lastIndexOf("/ir/") + 1);

/** `file:line` of the innermost frame that is neither this library nor the host. Undefined when there is none. */
export function userLine(trail: Trail): string | undefined {
  for (let t: Trail | undefined = trail; t; t = t.from) {
    const line = userFrame(t.piece.stack);
    if (line) return line;
  }
  return undefined;
}

// Behind a blank, a bracket or, in other browsers, an @; folders may have blanks and brackets of their own.
const place = /(?:[ (@])((?:file:\/\/|\/|[A-Za-z]:[\\/]|https?:\/\/).*?):(\d+):\d+\)?$/;

/** The same of a stack as text. */
export function userFrame(stack: string | undefined, library = here): string | undefined {
  // Ours are also the sources, where source maps lead, and the command line's entry.
  const home = plain(library);
  const ours = [home, ...["/src/", "/bin/"].map((folder) => home.replace(/\/(dist|src)\/$/, folder))];
  for (const frame of stack?.split("\n").slice(1) ?? []) {
    const [, file, line] = place.exec(frame) ?? [];
    if (!file || !line || /node:|node_modules|\(eval at /.test(frame)) continue;
    const path = plain(file);
    if (!ours.some((folder) => path.startsWith(folder))) return `${shorten(path)}:${line}`;
  }
  return undefined;
}

/** A URL of a file as its path: Node gives the one of what it has loaded, and the other where a source map leads. */
const plain = (file: string): string => (file.startsWith("file://") ? decodeURIComponent(file.slice(7)) : file);

/** Relative to the working folder where there is one, so that messages are the same on every machine. */
function shorten(path: string): string {
  const base = typeof process === "object" ? `${process.cwd()}/` : "";
  return base && path.startsWith(base) ? path.slice(base.length) : path;
}
