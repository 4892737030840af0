/**
 * Makes the packages and the build, and tells whether they fit the sources. Plain JavaScript without
 * packages, as it runs before there are any.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { SetupError, say } from "./setupLock.mjs";
import { run } from "./setupRun.mjs";

/** npm's note of its installation. */
const NPM_NOTE = "node_modules/.package-lock.json";
/** What the packages take, in megabytes, and some more. */
const SPACE_MB = 600;
const SOURCES = ["functions", "shared", "local", "bench", "tests/chaos"];

/** A compiler that finds errors writes nothing. The last build stays, and goes on running. */
const compile = (config) => ["typescript/bin/tsc", "-p", config, "--noEmitOnError"];

/**
 * The steps of the build in their order: their folders, their program, and the note in which the compiler
 * keeps what it has done. The page takes the client from its sources.
 */
const STEPS = [
  {
    name: "client",
    folders: ["client"],
    config: "client/tsconfig.build.json",
    run: compile("client/tsconfig.build.json"),
    note: "client/dist/.tsbuildinfo",
  },
  {
    name: "deployed",
    folders: ["functions", "shared"],
    config: "tsconfig.build.json",
    run: compile("tsconfig.build.json"),
    note: "dist/deployed.tsbuildinfo",
  },
  {
    name: "local",
    folders: ["local"],
    config: "tsconfig.local.json",
    run: compile("tsconfig.local.json"),
    note: "dist/local.tsbuildinfo",
  },
  {
    name: "bench",
    folders: ["bench"],
    config: "tsconfig.bench.json",
    run: compile("tsconfig.bench.json"),
    note: "dist/bench.tsbuildinfo",
  },
  {
    name: "chaos",
    folders: ["tests/chaos"],
    config: "tsconfig.chaos.json",
    run: compile("tsconfig.chaos.json"),
    note: "dist/chaos.tsbuildinfo",
  },
  {
    name: "page",
    folders: ["client", "web"],
    config: "web/vite.config.ts",
    run: ["vite/bin/vite.js", "build", "web", "--logLevel", "warn"],
  },
];
/** The configurations, which decide all that the build makes. */
const CONFIGS = [
  "tsconfig.json",
  "package-lock.json",
  "client/tsconfig.json",
  ...STEPS.map(({ config }) => config).filter((config) => config.endsWith(".json")),
];

// Packages

/** True when `node_modules` is what `package-lock.json` asks for. */
export function isInstalled(root) {
  // npm writes its note last. Without it an installation was stopped.
  if (!existsSync(join(root, NPM_NOTE))) return false;
  const stamp = join(root, "node_modules/.nonstop-lock-hash");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lockHash(root)) return true;
  if (!isSameAsLock(root)) return false;
  // Somebody has installed the packages by hand.
  writeFileSync(stamp, lockHash(root));
  return true;
}

function lockHash(root) {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}

/**
 * True when the installed versions are those of the lock file. Optional packages and those for other systems
 * may be missing.
 */
function isSameAsLock(root) {
  const wanted = parsed(join(root, "package-lock.json")).packages;
  const installed = parsed(join(root, NPM_NOTE)).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional, link }]) =>
      path === "" || optional || link || installed[path]?.version === version,
  );
}

function parsed(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new SetupError(`${file} cannot be read (${error.message}): restore it, or remove node_modules`);
  }
}

/** Runs `npm ci`, by the npm that runs this command if there is one. Resolves with its exit code. */
export async function npmCi(options, where) {
  const npm = process.env.npm_execpath;
  const [program, first] = npm?.endsWith(".js") ? [process.execPath, [npm]] : ["npm", []];
  const status = await run(program, [...first, "ci", ...options], { ...where, name: "npm ci" });
  if (status === undefined)
    throw new SetupError("npm was not found: it comes with Node (https://nodejs.org), put it on the PATH");
  return status;
}

/**
 * Throws when there is no room for the packages: npm on a full disk complains for minutes. Old packages make
 * room as they are replaced.
 */
function requireSpace(root) {
  const { bavail, bsize } = statfsSync(root);
  const free = Math.floor((bavail * bsize) / 1_000_000);
  if (free < SPACE_MB && !existsSync(join(root, "node_modules")))
    throw new SetupError(
      `the disk of ${root} has ${free} MB left, the packages need ${SPACE_MB} MB: make some room`,
    );
}

export async function install(root) {
  requireSpace(root);
  say("installing the packages with npm ci, this takes a minute or two...");
  if ((await npmCi([], { cwd: root })) !== 0)
    throw new SetupError(
      "npm ci failed, its messages above say why. ENOTFOUND, EAI_AGAIN or ETIMEDOUT: this machine has no network, or needs a proxy (npm config set proxy). ENOSPC: the disk is full. EACCES: the folder belongs to another user. Then try again",
    );
  writeFileSync(join(root, "node_modules/.nonstop-lock-hash"), lockHash(root));
}

// The build

/** True when `dist` was made from the present sources. */
export function isBuilt(root) {
  const stamp = join(root, "dist/.built");
  if (!existsSync(stamp)) return false;
  return readFileSync(stamp, "utf8") === JSON.stringify(sources(root));
}

/**
 * Every file that decides what the build makes, as `[path, size in bytes, time of change in milliseconds]`.
 */
export function sources(root) {
  const folders = [...SOURCES, "client"];
  const files = folders.flatMap((folder) => filesBelow(join(root, folder), /(?<!\.test)\.ts$/));
  const page = filesBelow(join(root, "web"), /(?<!\.test\.tsx?)$/);
  return [...CONFIGS.map((name) => join(root, name)), ...files, ...page].filter(existsSync).map((file) => {
    const { size, mtimeMs } = statSync(file);
    return [relative(root, file), size, mtimeMs];
  });
}

/** The files whose names match, without made or installed ones. */
function filesBelow(folder, name) {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const isMade = (path) => /(^|[\\/])(dist|node_modules)[\\/]/.test(relative(folder, path));
  return paths.filter((path) => name.test(path) && !isMade(path)).sort();
}

/**
 * Builds what the sources have changed since the last build. Throws a SetupError when they cannot be
 * compiled.
 */
export async function build(root) {
  say("building, this takes some seconds...");
  // When a build was stopped, the compiler may have noted more than it wrote.
  if (!existsSync(join(root, "dist/.built")))
    for (const { note } of STEPS) if (note) rmSync(join(root, note), { force: true });
  const failed = await buildSteps(root, stepsFor(CONFIGS));
  if (failed !== undefined) throw new SetupError(`the build failed (${failed}): correct the errors above`);
}

/** The steps of the build that these changed files, by their paths from the root, concern. */
export function stepsFor(changed) {
  if (changed.some((file) => CONFIGS.includes(file))) return STEPS;
  return STEPS.filter(({ folders }) =>
    folders.some((name) => changed.some((file) => file.startsWith(`${name}/`))),
  );
}

/**
 * Does these steps up to the first that fails, and returns its configuration. The output of the steps before
 * it stays. The caller gives all steps that are missing: when they succeed the build counts as done. Aborting
 * `signal` ends the running program.
 */
export async function buildSteps(root, steps, signal) {
  const stamp = join(root, "dist/.built");
  rmSync(stamp, { force: true });
  // Read before the compiler reads them: a file that is changed meanwhile makes the next build.
  const seen = sources(root);
  removeOrphans(root, seen);
  for (const {
    config,
    run: [program, ...args],
  } of steps) {
    const script = join(root, "node_modules", program);
    const status = await run(process.execPath, [script, ...args], { cwd: root, name: "the build", signal });
    if (status !== 0) return config;
  }
  mkdirSync(join(root, "dist"), { recursive: true });
  writeFileSync(stamp, JSON.stringify(seen));
  return undefined;
}

/** Deletes output without a source. The host loads every file in dist/functions. */
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
