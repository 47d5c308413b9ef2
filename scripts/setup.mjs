/**
 * All the set-up a clone needs, so that `npm start` and `npm test` are the only two commands: installs the packages of
 * package-lock.json when node_modules holds others, and builds dist when src has changed. Runs before anything is
 * installed, so it may use nothing but Node itself. Says what it does on stderr, and nothing when there is nothing to do.
 *
 * Both questions are answered from contents, not from dates: a branch switched back and forth costs nothing.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const at = (...parts) => join(root, ...parts);
const say = (line) => process.stderr.write(`setup: ${line}\n`);

class SetupError extends Error {}

/** Bring node_modules and dist up to date. Throws a SetupError whose message is fit for the terminal. */
export async function setup() {
  if (installed() && built()) return;
  const unlock = await lock();
  try {
    if (!installed()) install();
    if (!built()) build();
  } finally {
    unlock();
  }
}

/** Does node_modules hold what the lock asks for? npm's own record is written last, so half an install does not count. */
function installed() {
  const record = at("node_modules", ".package-lock.json");
  if (!existsSync(record)) return false;
  const have = JSON.parse(readFileSync(record, "utf8")).packages;
  const want = JSON.parse(readFileSync(at("package-lock.json"), "utf8")).packages;
  const same = (a, b) => a.version === b.version && a.integrity === b.integrity;
  // Optional packages are binaries of other platforms, so they may be absent; "" is this package itself.
  const complete = Object.entries(want).every(
    ([path, p]) => path === "" || (have[path] ? same(have[path], p) : p.optional),
  );
  return complete && Object.keys(have).every((path) => want[path]);
}

function install() {
  say("installing packages (npm ci), once");
  // Under `npm start` npm says where it is, which also spares Windows its npm.cmd; by hand it is on the path.
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith("js") ? [process.execPath, [npm]] : ["npm", []];
  const args = [...first, "ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2], // stdout stays free for what the user asked for
    shell: process.platform === "win32" && first.length === 0,
  });
  if (status === 0) return;
  const why = error ? error.message : `exit code ${status}`;
  throw new SetupError(`npm ci failed (${why}); it needs the npm registry this one time, see its message above`);
}

/** dist/.source names the sources that dist was built from. */
function built() {
  const stamp = at("dist", ".source");
  return existsSync(stamp) && readFileSync(stamp, "utf8") === sources();
}

function sources() {
  const hash = createHash("sha256");
  const files = readdirSync(at("src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const others = ["tsconfig.json", "tsconfig.build.json", "scripts/bundle.mjs", "package.json", "package-lock.json"];
  for (const file of [...files.sort(), ...others.map((name) => at(name))]) {
    const text = readFileSync(file);
    hash.update(`${relative(root, file)}\n${text.length}\n`).update(text);
  }
  return hash.digest("hex");
}

/** Into a folder beside dist, then renamed: nobody ever sees half a build, and files that left src leave dist. */
function build() {
  say("building dist (tsc, rolldown)");
  const before = sources();
  const [fresh, old] = [at(`.dist-${process.pid}`), at(`.dist-${process.pid}-old`)];
  try {
    // tsc7 is TypeScript 7 under another name: see docs/adr/0008-two-typescripts.md.
    run("tsc", at("node_modules", "tsc7", "bin", "tsc"), "-p", "tsconfig.build.json", "--outDir", fresh);
    run("rolldown", at("scripts", "bundle.mjs"), fresh);
    writeFileSync(join(fresh, ".source"), before);
    if (existsSync(at("dist"))) renameSync(at("dist"), old);
    renameSync(fresh, at("dist"));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

function run(tool, ...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new SetupError(`the build failed, see ${tool}'s message above`);
}

/** One set-up at a time: the second waits and then finds the work done. A lock whose owner is dead is taken over. */
async function lock() {
  const file = at(".setup-lock");
  for (let waited = 0; ; waited += 0.2) {
    try {
      writeFileSync(file, `${process.pid}`, { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw new SetupError(`this folder cannot be written: ${error.message}`);
    }
    const owner = ownerOf(file);
    if (owner !== undefined && !alive(owner)) rmSync(file, { force: true });
    else if (waited === 0) say("waiting for another set-up of this folder");
    else if (waited > 600) throw new SetupError(`another set-up holds ${file}; delete it if none is running`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Undefined while it is being written or was just removed. */
function ownerOf(file) {
  try {
    return Number(readFileSync(file, "utf8")) || undefined;
  } catch {
    return undefined;
  }
}

function alive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM"; // alive, and somebody else's
  }
}

// The real path, because a clone may be reached through a link.
if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [major, minor] = process.versions.node.split(".").map(Number);
  try {
    if (major < 20 || (major === 20 && minor < 19)) {
      throw new SetupError(
        `Node ${process.versions.node} is too old; Downhill needs 20.19 or newer (https://nodejs.org)`,
      );
    }
    await setup();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
