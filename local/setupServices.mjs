/**
 * The programs that npm does not install: MySQL, Redis and, for the tests of the page, Chromium. Plain
 * JavaScript without packages, as `setupCommands.mjs` calls it before there are any.
 */
import { spawnSync } from "node:child_process";
import { findChromium, findMySql, findRedis, noProgram } from "./services/binaries.mjs";
import { SetupError, say } from "./setupLock.mjs";
import { run } from "./setupRun.mjs";

/**
 * The programs that have neither an address in the environment nor a place on this machine. A browser counts
 * only if it is needed.
 */
export function missingServices(env, { browser = false } = {}) {
  const missing = [];
  if (!env.MYSQL_URL && !findMySql(env)) {
    // Installing another one would not help.
    if (env.MYSQLD) throw new SetupError(noProgram(env.MYSQLD));
    missing.push("mysql");
  }
  if (!env.REDIS_URL && !findRedis(env)) missing.push("redis");
  if (browser && !findChromium(env)) missing.push("chromium");
  return missing;
}

/**
 * How each package manager installs them. The commands of `before` may fail, as one of several sources may be
 * away. `dpkg` finishes what a killed installation left half done.
 */
const MANAGERS = [
  {
    program: "apt-get",
    root: true,
    before: [
      ["dpkg", "--configure", "-a"],
      ["apt-get", "update"],
    ],
    command: ["apt-get", "-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends"],
    packages: { mysql: "mariadb-server", redis: "redis-server", chromium: "chromium" },
  },
  {
    program: "dnf",
    root: true,
    command: ["dnf", "install", "-y"],
    packages: { mysql: "mariadb-server", redis: "redis", chromium: "chromium" },
  },
  {
    program: "apk",
    root: true,
    command: ["apk", "add"],
    packages: { mysql: "mariadb", redis: "redis", chromium: "chromium" },
  },
  {
    program: "brew",
    root: false,
    command: ["brew", "install"],
    // Browsers are casks, put among the user's applications, so they are not installed unasked.
    packages: { mysql: "mariadb", redis: "redis" },
  },
];

const BY_HAND = {
  mysql: "install MariaDB or MySQL, or set MYSQLD to its program or MYSQL_URL to a running server",
  redis: "install Redis, or set REDIS_URL to a running server",
  chromium: "install Chromium or Google Chrome, or set CHROMIUM_PATH to the program of one",
};

/** Advice about the missing programs. */
function byHand(missing) {
  return missing.map((service) => `  ${service}: ${BY_HAND[service]}`).join("\n");
}

/** The command that installs the missing programs. Throws advice where none can. */
export function installCommand(managerName, missing) {
  const manager = MANAGERS.find(({ program }) => program === managerName);
  if (!manager || missing.some((service) => !manager.packages[service]))
    throw new SetupError(`missing on this machine, please do it by hand:\n${byHand(missing)}`);
  return [...manager.command, ...missing.map((service) => manager.packages[service])];
}

/** Installs the missing programs, or throws advice. */
export async function provideServices(env, needs) {
  const missing = missingServices(env, needs);
  if (missing.length === 0) return;
  const manager = MANAGERS.find(({ program }) => isRunnable(program));
  const command = installCommand(manager?.program, missing);
  const sudo = manager.root && process.getuid() !== 0;
  if (sudo && spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status !== 0)
    throw new SetupError(askForRoot(manager, command, missing));
  const before = sudo ? ["sudo", "-n", "--preserve-env=DEBIAN_FRONTEND"] : [];
  say(`installing ${missing.join(" and ")} with ${manager.program}, this takes a minute or two...`);
  const options = { env: { ...env, DEBIAN_FRONTEND: "noninteractive" }, attached: sudo, patient: true };
  const runOne = (line) => {
    const [program, ...args] = [...before, ...line];
    return run(program, args, { ...options, name: manager.program });
  };
  for (const line of manager.before ?? []) await runOne(line);
  if ((await runOne(command)) !== 0 || missingServices(env, needs).length > 0)
    throw new SetupError(`${command.join(" ")} did not help. Please do it by hand:\n${byHand(missing)}`);
}

/** Advice for a user who can become root with a password, or ask somebody who can. */
function askForRoot(manager, command, missing) {
  const own = (manager.before ?? []).filter(([program]) => program === manager.program);
  const lines = [...own, command].map((line) => `  sudo ${line.join(" ")}\n`).join("");
  const names = missing.join(" and ");
  return `installing ${names} needs a password. Please run this (where there is no sudo: as root), then start again:\n${lines}or by hand:\n${byHand(missing)}`;
}

function isRunnable(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
}
