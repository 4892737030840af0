/**
 * Where the programs of MySQL (or MariaDB), Redis and Chromium are on this machine. Plain JavaScript, because
 * `local/setup.mjs` needs it before the project is built.
 */
import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";

// Daemons are often outside of a user's PATH.
const FOLDERS = [
  "/usr/sbin",
  "/usr/local/sbin",
  "/usr/libexec",
  "/usr/bin",
  "/usr/local/bin",
  "/usr/local/mysql/bin",
  "/opt/homebrew/bin",
  "/opt/homebrew/sbin",
];
const KEGS = ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"];

const INSTALL = ["mariadb-install-db", "mysql_install_db"];

/** The full path of the first of `names` that can be run. `undefined` when there is none. */
function findProgram(names, env = process.env) {
  const folders = [...(env.PATH ?? "").split(delimiter).filter(Boolean), ...FOLDERS, ...kegFolders()];
  const paths = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return paths.find(isProgram);
}

/**
 * The database server to run, as `{ server, install }`: `install` is MariaDB's program that prepares a data
 * folder, which MySQL's server does itself. `MYSQLD` names the server; without it MariaDB comes first.
 * `undefined` when there is none, and when the program of `MYSQLD` can't be run.
 */
export function findMySql(env = process.env) {
  if (env.MYSQLD) return isNamedProgram(env.MYSQLD) ? besideInstall(resolve(env.MYSQLD), env) : undefined;
  const install = findProgram(INSTALL, env);
  const mariadb = findProgram(["mariadbd"], env);
  if (mariadb && install) return { server: mariadb, install };
  const mysql = findProgram(["mysqld"], env);
  return mysql ? { server: mysql, install } : undefined;
}

/** The message when `MYSQLD` names no program. */
export const noProgram = (path) =>
  `MYSQLD=${path}: there is no program that can be run; give the full path of a mysqld or mariadbd, or unset MYSQLD`;

/**
 * True for a path to a program. A name alone would be looked for on the PATH by some programs and in the
 * current folder by others.
 */
function isNamedProgram(path) {
  return /[/\\]/.test(path) && isProgram(path);
}

/**
 * Adds the preparing program of the server's own version, which is beside the server or in the other folder
 * of programs.
 */
function besideInstall(server, env) {
  const folder = dirname(server);
  const near = [folder, join(folder, "../bin"), join(folder, "../scripts")];
  const paths = near.flatMap((one) => INSTALL.map((name) => join(one, name)));
  return { server, install: paths.find(isProgram) ?? findProgram(INSTALL, env) };
}

/** The Redis server, or its fork Valkey. `undefined` when there is none. */
export function findRedis(env = process.env) {
  return findProgram(["redis-server", "valkey-server"], env);
}

const MAC_BROWSERS = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/**
 * Chromium or Chrome, for the tests of the page. `CHROMIUM_PATH` names another one. `undefined` when there is
 * none.
 */
export function findChromium(env = process.env) {
  if (env.CHROMIUM_PATH) return env.CHROMIUM_PATH;
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  return findProgram(names, env) ?? MAC_BROWSERS.find(isProgram);
}

/** Homebrew keeps versioned packages like mysql@8.4 out of its bin folder. */
function kegFolders() {
  return KEGS.flatMap((keg) => {
    const names = listed(keg).filter((name) => /^(mysql|mariadb|redis|valkey)(@|$)/.test(name));
    return names.flatMap((name) => [join(keg, name, "bin"), join(keg, name, "sbin")]);
  });
}

function listed(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
