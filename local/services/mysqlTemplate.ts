import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { cp } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { projectRoot } from "../settings.js";

/**
 * `npm ci` deletes it with all of `node_modules`; nothing in it is worth more than the seconds it took to
 * make.
 */
export const TEMPLATES = join(projectRoot, "node_modules/.cache/nonstop-chat");

const FILES = "files";
const LIST = "files.json";
const MAX_ATTEMPTS = 3;
/** Longer than a process may take to make a template. */
const ABANDONED_MS = 15 * 60_000;

/** The cache of data folders that were prepared once and are copied for each new stack. */
export interface Templates {
  /** The folder of all templates. */
  readonly folder: string;
  /**
   * The name of one template: it tells the program, its version and everything else that decides the content.
   */
  readonly name: string;
  /** Prepares the folder `files`, which does not exist yet. A failure or an interruption is thrown. */
  make(files: string): Promise<void>;
}

/**
 * True when templates can be kept in `folder`. A clone may belong to another user, or lie on a read-only
 * disk.
 */
export function isUsable(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Copies the template into the folder `target`, which does not exist yet, and makes the template first where
 * it is missing or damaged. Processes may do this at the same time. What is left of `target` after a failure
 * is not usable.
 */
export async function copyTemplate(templates: Templates, target: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const template = await findOrMake(templates);
    // Another process may have found the template damaged and have moved it away while we copied.
    const copied = await copyFiles(template, target).catch((error: Error) => error);
    if (!copied) return;
    if (attempt === MAX_ATTEMPTS) throw copied;
    rmSync(target, { recursive: true, force: true });
  }
}

async function findOrMake({ folder, name, make }: Templates): Promise<string> {
  const template = join(folder, name);
  removeAbandoned(folder);
  if (isWhole(template)) return template;
  const unfinished = mkdtempSync(join(folder, `${name}.unfinished-`));
  try {
    await make(join(unfinished, FILES));
    writeFileSync(join(unfinished, LIST), JSON.stringify(sizesBelow(join(unfinished, FILES))), {
      flush: true,
    });
    moveAside(template);
    rename(unfinished, template);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return template;
}

/** A damaged template makes room. One that another process has just made stays. */
function moveAside(template: string): void {
  if (!existsSync(template) || isWhole(template)) return;
  const aside = mkdtempSync(`${template}.damaged-`);
  try {
    renameSync(template, join(aside, FILES));
  } catch (error) {
    // Another process has moved it away.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  rmSync(aside, { recursive: true, force: true });
}

/** The first of several processes that made the template keeps its own. */
function rename(unfinished: string, template: string): void {
  try {
    renameSync(unfinished, template);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  }
}

/** Removes what killed processes have left behind. */
function removeAbandoned(folder: string): void {
  for (const name of readdirSync(folder).filter((each) => /\.(unfinished|damaged)-/.test(each))) {
    const path = join(folder, name);
    const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    if (Date.now() - mtimeMs > ABANDONED_MS) rmSync(path, { recursive: true, force: true });
  }
}

/**
 * File systems that can (Btrfs, XFS, APFS) share the blocks until one side writes. Throws when the copy is
 * not whole.
 */
async function copyFiles(template: string, target: string): Promise<void> {
  const list = readFileSync(join(template, LIST), "utf8");
  mkdirSync(dirname(target), { recursive: true });
  await cp(join(template, FILES), target, { recursive: true, mode: constants.COPYFILE_FICLONE });
  if (JSON.stringify(sizesBelow(target)) !== list)
    throw new Error(`${template} changed while it was copied.`);
}

/** True when each file that was made is there in its size: a power cut or a clean-up may have taken some. */
function isWhole(template: string): boolean {
  try {
    const list = readFileSync(join(template, LIST), "utf8");
    return JSON.stringify(sizesBelow(join(template, FILES))) === list;
  } catch {
    return false;
  }
}

/** Each file below the folder with its size in bytes, sorted by path. */
function sizesBelow(folder: string): [string, number][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => [relative(folder, file), statSync(file).size]);
}
