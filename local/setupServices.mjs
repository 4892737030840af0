/**
 * The programs that npm does not install: MySQL, Redis and, for the tests of the page, Chromium. Plain JavaScript without packages, as
 * `setup.mjs`, which calls it before there are any.
 */
import { spawnSync } from "node:child_process";
import { findChromium, findMySql, findRedis } from "./services/binaries.mjs";
import { SetupError, say } from "./setupLock.mjs";

/** Which of them have neither an address in the environment nor a program on this machine; a browser only if it is needed. */
export function missingServices(env, { browser = false } = {}) {
  const missing = [];
  if (!env.MYSQL_URL && !findMySql(env)) missing.push("mysql");
  if (!env.REDIS_URL && !findRedis(env)) missing.push("redis");
  if (browser && !findChromium(env)) missing.push("chromium");
  return missing;
}

/** How each package manager installs them; `before` may fail, as one of several sources may be away. */
const MANAGERS = [
  {
    program: "apt-get",
    root: true,
    before: ["apt-get", "update"],
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
    // Browsers are casks, put among the user's applications: nothing to install unasked.
    packages: { mysql: "mariadb", redis: "redis" },
  },
];

const BY_HAND = {
  mysql: "install MariaDB or MySQL, or set MYSQL_URL to a running server",
  redis: "install Redis, or set REDIS_URL to a running server",
  chromium: "install Chromium or Google Chrome, or set CHROMIUM_PATH to the program of one",
};

/** What a user can do about those that are missing. */
function byHand(missing) {
  return missing.map((service) => `  ${service}: ${BY_HAND[service]}`).join("\n");
}

/** The command that installs those that are missing; throws what to do where none can. */
export function installCommand(managerName, missing) {
  const manager = MANAGERS.find(({ program }) => program === managerName);
  if (!manager || missing.some((service) => !manager.packages[service]))
    throw new SetupError(`missing on this machine, please do it by hand:\n${byHand(missing)}`);
  return [...manager.command, ...missing.map((service) => manager.packages[service])];
}

/** Installs what is missing, or throws what to do. */
export function provideServices(env, needs) {
  const missing = missingServices(env, needs);
  if (missing.length === 0) return;
  const manager = MANAGERS.find(({ program }) => isRunnable(program));
  const command = installCommand(manager?.program, missing);
  const prefix =
    !manager.root || process.getuid() === 0 ? [] : ["sudo", "-n", "--preserve-env=DEBIAN_FRONTEND"];
  if (prefix.length > 0 && spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status !== 0)
    throw new SetupError(`please run: sudo ${command.join(" ")}\nor by hand:\n${byHand(missing)}`);
  say(`installing ${missing.join(" and ")} with ${manager.program}, this takes a minute or two...`);
  const options = { stdio: ["ignore", 2, 2], env: { ...env, DEBIAN_FRONTEND: "noninteractive" } };
  const run = ([program, ...args]) => spawnSync(program, args, options).status === 0;
  if (manager.before) run([...prefix, ...manager.before]);
  if (!run([...prefix, ...command]) || missingServices(env, needs).length > 0)
    throw new SetupError(`${command.join(" ")} did not help. Please do it by hand:\n${byHand(missing)}`);
}

function isRunnable(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
}
