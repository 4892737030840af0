/**
 * The commands of `setup.mjs`: what each needs on this machine, and what it then runs. Plain JavaScript
 * without packages.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, install, isBuilt, isInstalled } from "./setupBuild.mjs";
import { SetupError, say, withLock } from "./setupLock.mjs";
import { interruptible } from "./setupRun.mjs";
import { missingServices, provideServices } from "./setupServices.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const LOCK = ".local-setup";
const VITEST = "node_modules/vitest/vitest.mjs";

const COMMANDS = {
  start: { services: true, script: "dist/local/stackMain.js", run: runStack },
  dev: { services: true, script: "dist/local/stackMain.js", first: ["--watch"], run: runStack },
  test: { services: true, browser: true, script: VITEST, first: ["run"], run: runScript },
  unit: { services: true, script: VITEST, first: ["run", "--project=unit"], run: runScript },
  watch: { services: true, script: VITEST, first: ["watch", "--project=unit"], run: runScript },
  token: { services: false, script: "dist/local/token.js", run: runScript },
  bench: { services: true, named: (name) => `dist/bench/${name || "all"}.js`, run: runScript },
  chaos: { services: true, script: "dist/tests/chaos/main.js", run: runScript },
  run: { services: false, named: (path) => path, run: runScript },
  build: { services: false, run: () => 0 },
};

/** Runs one command and sets the exit code. Messages go to stderr. */
export async function runCommand(args) {
  process.exitCode = await main(args).catch(failed);
}

async function main([name, ...rest]) {
  const command = Object.hasOwn(COMMANDS, name ?? "") ? COMMANDS[name] : undefined;
  if (!command) throw new SetupError(`the command must be one of ${Object.keys(COMMANDS).join(", ")}`);
  const args = rest[0] === "--" ? rest.slice(1) : rest;
  if (!isReady(command)) await interruptible(() => withLock(join(ROOT, LOCK), () => makeReady(command)));
  const script = command.named ? command.named(args.shift() ?? "") : command.script;
  if (command.named && !existsSync(join(ROOT, script)))
    throw new SetupError(`${name}: there is no ${script}`);
  return await command.run([script, ...(command.first ?? []), ...args]);
}

function isReady(command) {
  return (
    isInstalled(ROOT) &&
    isBuilt(ROOT) &&
    !(command.services && missingServices(process.env, command).length > 0)
  );
}

/** Checks each thing again, because another set-up may just have done it. */
async function makeReady(command) {
  if (!isInstalled(ROOT)) await install(ROOT);
  if (command.services) await provideServices(process.env, command);
  if (!isBuilt(ROOT)) await build(ROOT);
}

/** Tells the user what to do, and returns the exit code. Other errors are thrown. */
function failed(error) {
  if (error instanceof SetupError) say(error.message);
  else if (error.code === "ENOSPC" || error.code === "EDQUOT")
    say(`the disk is full (${error.message}): make some room, README.md says how much is needed`);
  else if (["EACCES", "EPERM", "EROFS"].includes(error.code))
    say(`${error.message}: the project's folder and what is in it must belong to you and be writable`);
  else throw error;
  return error.exitCode ?? 1;
}

/** Runs a Node script that has our terminal, and resolves with its exit code. */
function runScript([script, ...args]) {
  const child = spawn(process.execPath, [join(ROOT, script), ...args], { cwd: ROOT, stdio: "inherit" });
  // Ctrl+C reaches the script by itself. This process stays until the script is done.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return exitCode(child);
}

/**
 * Runs the stack, which gets Ctrl+C from this process alone: a terminal sends it to npm, to the shell and to
 * every process of the group, and npm passes it on once more. The stack's stdin is a pipe that ends with this
 * process, so the stack never stays behind.
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
