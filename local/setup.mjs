/**
 * Makes a fresh clone ready and then runs one of the project's commands, so that each works at once:
 *
 *   node local/setup.mjs start|test|token|bench|run|build [-- ARGUMENT...]
 *
 * start   the whole system on this machine      test   all tests
 * token   prints an access token                bench  [NAME], a measurement of the folder bench, or all
 * run     SCRIPT ARGUMENT..., any script        build  nothing more
 *
 * Plain JavaScript without packages: it runs before there are any. What it says goes to stderr.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { SetupError, say, withLock } from "./setupLock.mjs";
import { missingServices, provideServices } from "./setupServices.mjs";

const LEAST_NODE = [20, 19];
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const LOCK = ".local-setup";
const SOURCES = ["functions", "shared", "local", "bench"];
const BUILDS = [
  "client/tsconfig.build.json",
  "tsconfig.build.json",
  "tsconfig.local.json",
  "tsconfig.bench.json",
];

const COMMANDS = {
  start: { services: true, script: "dist/local/stackMain.js", run: runStack },
  test: {
    services: true,
    browser: true,
    script: "node_modules/vitest/vitest.mjs",
    first: ["run"],
    run: runScript,
  },
  token: { services: false, script: "dist/local/token.js", run: runScript },
  bench: { services: true, named: (name) => `dist/bench/${name || "all"}.js`, run: runScript },
  run: { services: false, named: (path) => path, run: runScript },
  build: { services: false, run: () => 0 },
};

async function main([name, ...rest]) {
  const command = Object.hasOwn(COMMANDS, name ?? "") ? COMMANDS[name] : undefined;
  if (!command) throw new SetupError(`the command must be one of ${Object.keys(COMMANDS).join(", ")}`);
  const args = rest[0] === "--" ? rest.slice(1) : rest;
  requireNode(process.versions.node);
  if (
    !isInstalled(ROOT) ||
    !isBuilt(ROOT) ||
    (command.services && missingServices(process.env, command).length > 0)
  )
    await withLock(join(ROOT, LOCK), async () => {
      // Looked at once more: another set-up may just have done it.
      if (!isInstalled(ROOT)) install(ROOT);
      if (command.services) provideServices(process.env, command);
      if (!isBuilt(ROOT)) build(ROOT);
    });
  const script = command.named ? command.named(args.shift() ?? "") : command.script;
  if (command.named && !existsSync(join(ROOT, script)))
    throw new SetupError(`${name}: there is no ${script}`);
  return await command.run([script, ...(command.first ?? []), ...args]);
}

export function requireNode(version) {
  const [major, minor] = version.split(".").map(Number);
  const [leastMajor, leastMinor] = LEAST_NODE;
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return;
  throw new SetupError(
    `Node ${LEAST_NODE.join(".")} or later is needed, this is ${version}: install a newer one`,
  );
}

// Packages

/** Whether `node_modules` is what `package-lock.json` asks for. */
export function isInstalled(root) {
  const stamp = join(root, "node_modules/.nonstop-lock-hash");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lockHash(root)) return true;
  if (!isSameAsLock(root)) return false;
  // Installed by hand.
  writeFileSync(stamp, lockHash(root));
  return true;
}

function lockHash(root) {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}

/** npm notes in `node_modules` what it installed; optional packages and those for other systems may be left out. */
function isSameAsLock(root) {
  const note = join(root, "node_modules/.package-lock.json");
  if (!existsSync(note)) return false;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(note, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional, link }]) =>
      path === "" || optional || link || installed[path]?.version === version,
  );
}

function install(root) {
  say("installing the packages with npm ci, this takes a minute or two...");
  const npm = process.env.npm_execpath;
  const [program, first] = npm?.endsWith(".js") ? [process.execPath, [npm]] : ["npm", []];
  const { status, error } = spawnSync(program, [...first, "ci"], { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0)
    throw new SetupError(
      `npm ci failed${error ? ` (${error.message})` : ""}: its messages above say why; then try again`,
    );
  writeFileSync(join(root, "node_modules/.nonstop-lock-hash"), lockHash(root));
}

// The build

/** Whether `dist` was made from the sources as they are. */
export function isBuilt(root) {
  const stamp = join(root, "dist/.built");
  if (!existsSync(stamp)) return false;
  return readFileSync(stamp, "utf8") === JSON.stringify(sources(root));
}

/** Every file that decides what the build makes, with its size and its time of change in milliseconds. */
export function sources(root) {
  const configs = ["tsconfig.json", "package-lock.json", "client/tsconfig.json", ...BUILDS];
  const folders = [...SOURCES, "client"];
  const files = folders.flatMap((folder) => filesBelow(join(root, folder), /(?<!\.test)\.ts$/));
  const page = filesBelow(join(root, "web"), /(?<!\.test\.tsx?)$/);
  return [...configs.map((name) => join(root, name)), ...files, ...page].filter(existsSync).map((file) => {
    const { size, mtimeMs } = statSync(file);
    return [relative(root, file), size, mtimeMs];
  });
}

/** The files whose names match, without what is made or installed. */
function filesBelow(folder, name) {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const isMade = (path) => /(^|[\\/])(dist|node_modules)[\\/]/.test(relative(folder, path));
  return paths.filter((path) => name.test(path) && !isMade(path)).sort();
}

function build(root) {
  say("building...");
  // Taken before the compiler reads them: a file that is changed meanwhile makes the next build.
  const seen = sources(root);
  removeOrphans(root, seen);
  const steps = BUILDS.map((config) => ({ config, args: ["typescript/bin/tsc", "-p", config] }));
  // The page: what it loads from us is built before it.
  const vite = ["vite/bin/vite.js", "build", "web", "--logLevel", "warn"];
  steps.push({ config: "web/vite.config.ts", args: vite });
  for (const { config, args } of steps) {
    const [program, ...rest] = args;
    const { status } = spawnSync(process.execPath, [join(root, "node_modules", program), ...rest], {
      cwd: root,
      stdio: ["ignore", 2, 2],
    });
    if (status !== 0) throw new SetupError(`the build failed (${config}): correct the errors above`);
  }
  mkdirSync(join(root, "dist"), { recursive: true });
  writeFileSync(join(root, "dist/.built"), JSON.stringify(seen));
}

/** The host loads every file in dist/functions: what has no source any more must not be one of them. */
export function removeOrphans(root, seen) {
  const kept = new Set(seen.map(([file]) => file));
  const made = SOURCES.map((name) => [join(root, "dist", name), name]);
  for (const [folder, name] of [...made, [join(root, "client/dist"), "client"]]) {
    if (!existsSync(folder)) continue;
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const file = join(entry.parentPath, entry.name);
      const source = join(name, relative(folder, file)).replace(/(\.d\.ts|\.js)(\.map)?$/, ".ts");
      if (/\.(ts|js|map)$/.test(entry.name) && entry.isFile() && !kept.has(source)) rmSync(file);
    }
  }
}

// The command itself

/** Resolves with the exit code of a Node script that has our terminal. */
function runScript([script, ...args]) {
  const child = spawn(process.execPath, [join(ROOT, script), ...args], { cwd: ROOT, stdio: "inherit" });
  // Ctrl+C reaches the script by itself; we stay until it is done.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return exitCode(child);
}

/**
 * The stack gets Ctrl+C from us alone: a terminal sends it to npm, to the shell and to every process of the group, and
 * npm passes it on once more. Its stdin is a pipe that ends with us, so that it never stays behind.
 */
function runStack([script, ...args]) {
  const child = spawn(process.execPath, [join(ROOT, script), ...args, "--exit-with-stdin"], {
    cwd: ROOT,
    stdio: ["pipe", "inherit", "inherit"],
    detached: true,
  });
  child.stdin.on("error", () => {});
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  return exitCode(child);
}

function exitCode(child) {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? (signal ? 1 : 0)));
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
