import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import mysql from "mysql2/promise";
import { freePort, LOOPBACK } from "../ports.js";
import { Child, type ChildSpec, startChild } from "./child.js";
import { appArmorAdvice, findServer, OF_MYSQL, type Program, requireOwnFiles } from "./mysqlProgram.js";
import type { Service, ServiceOptions } from "./service.js";

const PREPARE_TIMEOUT_MS = 300_000;
/** Of MariaDB's first files, in megabytes, and a little; MySQL's are as large. */
const SPACE_MB = 200;
/** As Azure has it. MySQL keeps to what a data folder was prepared with, and does not start with another value: the note says that it was this one. */
const LOWER_CASE = "--lower-case-table-names=1";
const LOWER_CASE_NOTE = "nonstop-lower-case-names";
// sun_path of a Unix socket address holds 104 bytes on macOS and 108 on Linux, with the final zero.
const MAX_SOCKET_PATH = 100;

/** MySQL makes the certificate of its TLS itself: nobody has signed it, and on the loopback interface nobody stands between. */
const OWN_CERTIFICATE = encodeURIComponent(JSON.stringify({ rejectUnauthorized: false }));

/** The URL of the database `chat` on a private server. */
export function mySqlUrl({ isMariaDb }: Program, port: number): string {
  return `mysql://chat:chat@${LOOPBACK}:${port}/chat${isMariaDb ? "" : `?ssl=${OWN_CERTIFICATE}`}`;
}

/**
 * A MySQL or MariaDB of our own in the folder `data`, which is prepared on its first start; `say` hears when that happens.
 * Throws when the folder cannot be used.
 */
export async function mySqlSpec(
  program: Program,
  data: string,
  port: number,
  logFile: string,
  say: (line: string) => void = () => {},
  stopping: AbortSignal = new AbortController().signal,
): Promise<ChildSpec> {
  const folder = resolve(data);
  mkdirSync(folder, { recursive: true });
  await prepare(program, folder, logFile, say, stopping);
  writeFileSync(join(folder, "accounts.sql"), accounts(program));
  return {
    name: "mysql",
    program: program.server,
    wrapped: true,
    args: serverArguments(program, folder, port),
    logFile,
    // MySQL's own note of who uses the socket: one that was killed leaves it behind, and whoever has its number by now is taken for it. The data's own locks stay.
    before: () => rmSync(`${socketPath(folder)}.lock`, { force: true }),
    probe: () => pingMySql(mySqlUrl(program, port)),
    startTimeoutMs: 300_000,
    stopTimeoutMs: 10_000,
    ...adviceFor(program),
  };
}

/** Starts a private MySQL or MariaDB and waits until its database `chat` answers. Port 0 takes a free one. */
export async function startMySql({ data, port = 0 }: ServiceOptions): Promise<Service> {
  const program = await findServer();
  const chosen = port || (await freePort());
  const child = await startChild(await mySqlSpec(program, data, chosen, join(data, "mysql.log")));
  return { url: mySqlUrl(program, chosen), port: chosen, pid: child.pid, close: () => child.stop() };
}

/** Throws unless the server at `url` lets us in within 3 s; a missing database is no reason, migrations make it. */
export async function pingMySql(url: string): Promise<void> {
  try {
    const connection = await mysql.createConnection({ uri: url, connectTimeout: 3_000 });
    await connection.end();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ER_BAD_DB_ERROR") throw error;
  }
}

/**
 * Makes the system tables in a folder beside `files` that is renamed when it is whole, so that `files` is never half
 * prepared, whenever the preparation is interrupted.
 */
async function prepare(
  program: Program,
  folder: string,
  logFile: string,
  say: (line: string) => void,
  stopping: AbortSignal,
): Promise<void> {
  const files = join(folder, "files");
  const unfinished = join(folder, "files.unfinished");
  if (existsSync(join(files, "mysql"))) return requireOwnFiles(files, program);
  if (existsSync(join(files, "chat")))
    throw new Error(
      `${files} holds a database "chat" but no system tables: restore it, or move it away to start anew`,
    );
  requireSpace(folder);
  // Without system tables and without our database it is what an interrupted preparation left.
  say("mysql: first start, preparing its data folder...");
  rmSync(unfinished, { recursive: true, force: true });
  const asRoot = isRoot() ? ["--user=root"] : [];
  const [command, args] = program.isMariaDb
    ? [program.install!, ["--auth-root-authentication-method=normal", "--skip-test-db"]]
    : [program.server, ["--initialize-insecure", ...OF_MYSQL, LOWER_CASE]];
  const plain = withoutSpaces(folder);
  const datadir = join(plain, "files.unfinished");
  // Of its own: servers that share one delete each other's temporary tables.
  const temporaryFiles = `--tmpdir=${temporary(plain)}`;
  const preparation = new Child({
    name: "mysql: preparing its data folder",
    program: command,
    wrapped: true,
    args: ["--no-defaults", `--datadir=${datadir}`, temporaryFiles, ...args, ...asRoot],
    logFile,
    startTimeoutMs: PREPARE_TIMEOUT_MS,
    stopTimeoutMs: 5_000,
    ...adviceFor(program),
  });
  await preparation.done(stopping);
  if (!readdirSync(unfinished).includes("mysql"))
    throw new Error(
      `mysql: ${command} left no system tables in ${unfinished}: look at its output by running it by hand`,
    );
  rmSync(files, { recursive: true, force: true });
  writeFileSync(join(unfinished, LOWER_CASE_NOTE), "");
  renameSync(unfinished, files);
}

function adviceFor({ server, isMariaDb }: Program): Pick<ChildSpec, "advice"> {
  const advice = isMariaDb ? undefined : appArmorAdvice(server);
  return advice === undefined ? {} : { advice };
}

/** On a full disk the preparation fails with much text and little sense. */
function requireSpace(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  const free = Math.floor((bavail * bsize) / 1_000_000);
  if (free < SPACE_MB)
    throw new Error(
      `the disk of ${folder} has ${free} MB left, a new database needs ${SPACE_MB} MB: make some room, or choose another folder with --data DIR`,
    );
}

/** The folder by a path that MariaDB's script can take: run as root it passes the path to chown without quotes. */
function withoutSpaces(folder: string): string {
  if (!/\s/.test(folder)) return folder;
  const link = join(mkdtempSync(join(tmpdir(), "nonstop-mysql-")), "data");
  symlinkSync(folder, link);
  return link;
}

function serverArguments(program: Program, folder: string, port: number): string[] {
  return [
    // Must come first: nothing of the machine's own database settings is read.
    "--no-defaults",
    ...(isRoot() ? ["--user=root"] : []),
    `--datadir=${join(folder, "files")}`,
    `--init-file=${join(folder, "accounts.sql")}`,
    `--socket=${socketPath(folder)}`,
    `--tmpdir=${temporary(folder)}`,
    `--pid-file=${join(folder, "mysql.pid")}`,
    `--port=${port}`,
    `--bind-address=${LOOPBACK}`,
    "--skip-networking=0",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    `--collation-server=${collation(program)}`,
    "--default-time-zone=+00:00",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=256M",
    "--max-connections=200",
    // MySQL turns it on by itself.
    "--skip-log-bin",
    ...(program.isMariaDb ? [] : OF_MYSQL),
    ...(!program.isMariaDb && existsSync(join(folder, "files", LOWER_CASE_NOTE)) ? [LOWER_CASE] : []),
  ];
}

/** A server that starts deletes the temporary tables it finds: in a folder that several share, those of the others. */
function temporary(folder: string): string {
  const own = join(folder, "tmp");
  mkdirSync(own, { recursive: true });
  return own;
}

/** Runs at every start; each statement has its own line, as an init file wants it. */
function accounts(program: Program): string {
  const at = (user: string, password: string) =>
    ["127.0.0.1", "localhost"].flatMap((host) => [
      `CREATE USER IF NOT EXISTS '${user}'@'${host}' IDENTIFIED BY '${password}';`,
      `GRANT ALL PRIVILEGES ON *.* TO '${user}'@'${host}' WITH GRANT OPTION;`,
    ]);
  const database = `CREATE DATABASE IF NOT EXISTS chat CHARACTER SET utf8mb4 COLLATE ${collation(program)};`;
  return `${[database, ...at("chat", "chat"), ...at("root", "")].join("\n")}\n`;
}

function collation({ isMariaDb }: Program): string {
  return isMariaDb ? "utf8mb4_unicode_ci" : "utf8mb4_0900_ai_ci";
}

function socketPath(folder: string): string {
  const beside = join(folder, "mysql.sock");
  if (Buffer.byteLength(beside) <= MAX_SOCKET_PATH) return beside;
  const digest = createHash("sha256").update(folder).digest("hex").slice(0, 12);
  return join(tmpdir(), `nonstop-chat-${digest}.sock`);
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
