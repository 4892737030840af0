import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { Child, type ChildSpec } from "./child.js";
import { AS_ROOT, appArmorAdvice, OF_MYSQL, type Program, requireOwnFiles } from "./mysqlProgram.js";
import { copyTemplate, isUsable, TEMPLATES } from "./mysqlTemplate.js";

const PREPARE_TIMEOUT_MS = 300_000;
/** What the first files of MariaDB or of MySQL take, in megabytes, and some more. */
const SPACE_MB = 200;
/**
 * Names of tables are lower-case, as in Azure. A MySQL that was prepared without this flag does not start
 * with it.
 */
const LOWER_CASE = "--lower-case-table-names=1";
/** A file with this name says that the data folder was prepared with `LOWER_CASE`. */
const LOWER_CASE_NOTE = "nonstop-lower-case-names";
/**
 * MySQL makes these again when they are missing: its server uuid, and the keys and certificates of its TLS.
 */
const IDENTITY = /^auto\.cnf$|\.pem$/;

export interface Preparation {
  readonly program: Program;
  readonly logFile: string;
  /** Gets a line for the screen when something takes long. */
  readonly say: (line: string) => void;
  /** Ends the preparation, which then throws. */
  readonly stopping: AbortSignal;
  /** Where prepared folders are kept for the next new stack; `TEMPLATES` if not said. */
  readonly templates?: string;
}

/**
 * Makes the system tables in `folder/files`, unless they are there. They come into being in a folder beside
 * it, which is renamed when it is whole: `files` is never half prepared, at whatever moment the preparation
 * ends.
 */
export async function prepareFolder(folder: string, preparation: Preparation): Promise<void> {
  const files = join(folder, "files");
  const unfinished = join(folder, "files.unfinished");
  if (existsSync(join(files, "mysql"))) return requireOwnFiles(files, preparation.program);
  if (existsSync(join(files, "chat")))
    throw new Error(
      `${files} holds a database "chat" but no system tables: restore it, or move it away to start afresh.`,
    );
  requireSpace(folder);
  preparation.say("mysql: first start, preparing its data folder...");
  await fill(unfinished, preparation);
  // Without system tables and without our database `files` is what an interrupted preparation left.
  rmSync(files, { recursive: true, force: true });
  renameSync(unfinished, files);
}

/** The flag that a prepared MySQL needs at every start. MariaDB takes either. */
export function lowerCaseFlag(folder: string, { isMariaDb }: Program): string[] {
  return !isMariaDb && existsSync(join(folder, "files", LOWER_CASE_NOTE)) ? [LOWER_CASE] : [];
}

/**
 * The folder of temporary tables. A server that starts deletes those it finds, so no two servers share one.
 */
export function temporaryFolder(folder: string): string {
  const own = join(folder, "tmp");
  mkdirSync(own, { recursive: true });
  return own;
}

/** The advice that a message about a failed start has besides the log. */
export function adviceFor({ server, isMariaDb }: Program): Pick<ChildSpec, "advice"> {
  const advice = isMariaDb ? undefined : appArmorAdvice(server);
  return advice === undefined ? {} : { advice };
}

async function fill(unfinished: string, preparation: Preparation): Promise<void> {
  const { program, templates = TEMPLATES } = preparation;
  const make = (files: string) => initialise(files, preparation);
  rmSync(unfinished, { recursive: true, force: true });
  // The template needs as much room as the data folder, and may lie on another disk.
  if (!isUsable(templates) || freeMegabytes(templates) < 2 * SPACE_MB) return make(unfinished);
  await copyTemplate({ folder: templates, name: templateName(program), make }, unfinished);
}

/** The program by its path, size and time of change, its version, and all that it is told. */
function templateName(program: Program): string {
  const programs = [program.server, program.install].filter((path) => path !== undefined);
  const facts = programs.map((path) => [path, statSync(path).size, statSync(path).mtimeMs]);
  const made = JSON.stringify([facts, program.version, command(program), AS_ROOT, process.getuid?.()]);
  const hash = createHash("sha256").update(made).digest("hex").slice(0, 12);
  const version = program.version.replaceAll(/[^\w.-]/g, "_");
  return `mysql-${program.isMariaDb ? "mariadb" : "oracle"}-${version}-${hash}`;
}

function command(program: Program): [string, readonly string[]] {
  return program.isMariaDb
    ? [program.install!, ["--auth-root-authentication-method=normal", "--skip-test-db"]]
    : [program.server, ["--initialize-insecure", ...OF_MYSQL, LOWER_CASE]];
}

/** Runs the program that makes the system tables in the new folder `files`. */
async function initialise(files: string, { program, logFile, stopping }: Preparation): Promise<void> {
  const folder = dirname(files);
  const plain = withoutSpaces(folder);
  const [tool, args] = command(program);
  const folders = [`--datadir=${join(plain, basename(files))}`, `--tmpdir=${temporaryFolder(plain)}`];
  const run = new Child({
    name: "mysql: preparing its data folder",
    program: tool,
    wrapped: true,
    args: ["--no-defaults", ...folders, ...args, ...AS_ROOT],
    logFile,
    startTimeoutMs: PREPARE_TIMEOUT_MS,
    stopTimeoutMs: 5_000,
    ...adviceFor(program),
  });
  await run.done(stopping);
  if (!existsSync(join(files, "mysql")))
    throw new Error(`mysql: ${tool} left no system tables in ${files}: run it by hand to see its output.`);
  for (const name of readdirSync(files)) if (IDENTITY.test(name)) rmSync(join(files, name));
  writeFileSync(join(files, LOWER_CASE_NOTE), "");
}

/** On a full disk the preparation fails with much text and little sense. */
function requireSpace(folder: string): void {
  const free = freeMegabytes(folder);
  if (free < SPACE_MB)
    throw new Error(
      `the disk of ${folder} has ${free} MB left, a new database needs ${SPACE_MB} MB: make some room, or choose another folder with --data DIR`,
    );
}

function freeMegabytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return Math.floor((bavail * bsize) / 1_000_000);
}

/**
 * The folder by a path that MariaDB's script can take: run as root it passes the path to chown without
 * quotes.
 */
function withoutSpaces(folder: string): string {
  if (!/\s/.test(folder)) return folder;
  const link = join(mkdtempSync(join(tmpdir(), "nonstop-mysql-")), "data");
  symlinkSync(folder, link);
  return link;
}
