import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { findBinaries } from "./binaries.js";

const run = promisify(execFile);

/** The server to run: Oracle's MySQL, or MariaDB with the program that prepares its data folder. */
export interface Program {
  readonly server: string;
  readonly install?: string;
  readonly isMariaDb: boolean;
  /** As the server says it: `9.7.4` or `10.11.19-MariaDB-0+deb12u1`. */
  readonly version: string;
}

/** Neither server runs as root unless it is told to. */
export const AS_ROOT: readonly string[] = process.getuid?.() === 0 ? ["--user=root"] : [];

/**
 * The server that `MYSQLD` names, or else one of this machine, MariaDB first. Throws advice where there is
 * none.
 */
export async function findServer(env: NodeJS.ProcessEnv = process.env): Promise<Program> {
  const { findMySql, noProgram } = await findBinaries();
  const found = findMySql(env);
  if (!found && env["MYSQLD"]) throw new Error(noProgram(env["MYSQLD"]));
  if (!found)
    throw new Error(
      "neither mariadbd nor mysqld was found: install MariaDB or MySQL, set MYSQLD to its program, or MYSQL_URL to a running server",
    );
  const version = await versionOf(found.server);
  const isMariaDb = /-MariaDB/i.test(version);
  if (isMariaDb && !found.install)
    throw new Error(
      `${found.server} is there but mariadb-install-db is not: install the whole of MariaDB's server`,
    );
  return { ...found, isMariaDb, version };
}

/**
 * The server's version as it prints it. Before the version comes the program's path, which may hold any word.
 */
async function versionOf(server: string): Promise<string> {
  const said = await run(server, ["--no-defaults", "--version"], { timeout: 20_000 }).then(
    ({ stdout }) => stdout,
    (error: Error) => error.message,
  );
  const version = /\bVer (\d\S*)/.exec(said)?.[1];
  if (version !== undefined) return version;
  throw new Error(
    `${server} is no MySQL or MariaDB server: asked for its version it says ${JSON.stringify(said.slice(0, 200))}`,
  );
}

/**
 * Flags of Oracle's server, both for preparing its data folder and for every start. As in Azure Database for
 * MySQL, a table without a primary key gets an invisible one, and connections without TLS are refused.
 */
export const OF_MYSQL: readonly string[] = [
  "--loose-sql-generate-invisible-primary-key=ON",
  "--require-secure-transport=ON",
  // Packages set a folder that belongs to another user. With it the server does not start.
  "--secure-file-priv=NULL",
  // Saves some 300 MB for views that nobody here reads.
  "--performance-schema=OFF",
  "--loose-mysqlx=OFF",
];

/**
 * Throws when `files`, a prepared data folder, was made by the other of the two servers. Neither reads the
 * other's data, and each may damage it.
 */
export function requireOwnFiles(
  files: string,
  { isMariaDb, server }: Pick<Program, "isMariaDb" | "server">,
): void {
  // MySQL 8 keeps all system tables in this one file. MariaDB has the log of its Aria engine.
  const made = existsSync(join(files, "mysql.ibd")) ? "MySQL" : "MariaDB";
  if ((made === "MariaDB") === isMariaDb) return;
  throw new Error(
    `${files} was made by ${made}, and ${server} can't use it: choose another folder with --data DIR, or ${made}'s program with MYSQLD`,
  );
}

/**
 * Advice for the case that AppArmor keeps the server out of a folder, as Ubuntu's profile of MySQL does with
 * all but its own. Undefined where there is no profile of this program. `root` is the folder of the machine's
 * files.
 */
export function appArmorAdvice(server: string, root = "/"): string | undefined {
  const name = server.replace(/^\/+/, "").replaceAll("/", ".");
  const profile = join(root, "etc/apparmor.d", name);
  if (!existsSync(profile) || existsSync(join(root, "etc/apparmor.d/disable", name))) return undefined;
  return (
    `AppArmor's profile ${profile} may keep ${basename(server)} out of this folder (the kernel's log says so): ` +
    `sudo ln -s ${profile} /etc/apparmor.d/disable/ && sudo apparmor_parser -R ${profile}, or use MariaDB, or set MYSQL_URL to a running server`
  );
}
