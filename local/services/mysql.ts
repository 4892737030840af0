import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import mysql from "mysql2/promise";
import { freePort, LOOPBACK } from "../ports.js";
import { type ChildSpec, startChild } from "./child.js";
import { adviceFor, lowerCaseFlag, prepareFolder, temporaryFolder } from "./mysqlFolder.js";
import { AS_ROOT, findServer, OF_MYSQL, type Program } from "./mysqlProgram.js";
import type { Service, ServiceOptions } from "./service.js";

/**
 * The field sun_path of a Unix socket address holds 104 bytes on macOS and 108 on Linux, with the final zero.
 */
const MAX_SOCKET_PATH = 100;

/**
 * MySQL makes its TLS certificate itself, so no authority has signed it. On the loopback interface nobody can
 * stand between.
 */
const OWN_CERTIFICATE = encodeURIComponent(JSON.stringify({ rejectUnauthorized: false }));

/** The URL of the database `chat` on a private server. */
export function mySqlUrl({ isMariaDb }: Program, port: number): string {
  return `mysql://chat:chat@${LOOPBACK}:${port}/chat${isMariaDb ? "" : `?ssl=${OWN_CERTIFICATE}`}`;
}

/**
 * A private MySQL or MariaDB in the folder `data`, which is prepared on its first start; `say` gets a line
 * when that happens. Throws when the folder cannot be used.
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
  await prepareFolder(folder, { program, logFile, say, stopping });
  writeFileSync(join(folder, "accounts.sql"), accounts(program));
  return {
    name: "mysql",
    program: program.server,
    wrapped: true,
    args: serverArguments(program, folder, port),
    logFile,
    // MySQL's note of the socket's owner stays behind when the server is killed. A later process with the
    // same number would then be taken for the owner. The data's own locks stay.
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

/**
 * Throws unless the server at `url` lets us in within 3 s. The database may be missing, because migrations
 * make it.
 */
export async function pingMySql(url: string): Promise<void> {
  try {
    const connection = await mysql.createConnection({ uri: url, connectTimeout: 3_000 });
    await connection.end();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ER_BAD_DB_ERROR") throw error;
  }
}

function serverArguments(program: Program, folder: string, port: number): string[] {
  return [
    // This flag must come first. With it the server reads none of the machine's own database settings.
    "--no-defaults",
    ...AS_ROOT,
    `--datadir=${join(folder, "files")}`,
    `--init-file=${join(folder, "accounts.sql")}`,
    `--socket=${socketPath(folder)}`,
    `--tmpdir=${temporaryFolder(folder)}`,
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
    // Other engines have only the server's own and temporary tables. Their buffers and the log's took 44 MB more.
    "--key-buffer-size=1M",
    "--innodb-log-buffer-size=4M",
    "--max-connections=200",
    // MySQL has the binary log on by default.
    "--skip-log-bin",
    ...(program.isMariaDb ? ["--aria-pagecache-buffer-size=8M"] : OF_MYSQL),
    ...lowerCaseFlag(folder, program),
  ];
}

/** The statements of every start. Each has a line of its own, as an init file needs it. */
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
