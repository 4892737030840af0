import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";

const FOLDER = fileURLToPath(new URL("./migrations/", import.meta.url));

/**
 * SHA-256 of the released text of migrations that were changed between their first commit and the first
 * release. Nothing is added here: a migration that nobody has applied yet is changed in its first commit.
 */
const RELEASED_LATER: Readonly<Record<string, string>> = {
  "0002_membership_and_reads.sql": "33b3d9d2e374d6619afc0b8a5cf8ef8e866d10fe195d4b9e672034b6178aec80",
};

const git = (folder: string, ...args: string[]): string =>
  execFileSync("git", ["-C", folder, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

/** Why there is no whole history to compare with, or nothing. */
function missingHistory(folder: string): string | undefined {
  const { status, stdout } = spawnSync("git", ["-C", folder, "rev-parse", "--is-shallow-repository"], {
    encoding: "utf8",
  });
  if (status !== 0) return "there is no git history here";
  return stdout.trim() === "true" ? "the git history here is shallow" : undefined;
}

/** Files whose text is not that of the commit in which they came, or that were deleted since. */
function editedFiles(
  folder: string,
  releasedLater: Readonly<Record<string, string>> = {},
): readonly string[] {
  const log = git(
    folder,
    "log",
    "--reverse",
    "--diff-filter=A",
    "--format=@%H",
    "--name-only",
    "--relative",
    "--",
    ".",
  );
  const first = new Map<string, string>();
  let commit = "";
  for (const line of log.split("\n").filter((one) => one !== "")) {
    if (line.startsWith("@")) commit = line.slice(1);
    else if (line.endsWith(".sql") && !first.has(line)) first.set(line, commit);
  }
  return [...first].flatMap(([file, added]) => {
    const released = releasedLater[file] ?? digestOf(git(folder, "show", `${added}:./${file}`));
    const isThere = readdirSync(folder).includes(file);
    return isThere && digestOf(readFileSync(join(folder, file), "utf8")) === released ? [] : [file];
  });
}

const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex");

const missing = missingHistory(FOLDER);
if (missing) console.warn(`Not checked whether a released migration was edited: ${missing}.`);

test.skipIf(missing !== undefined)(
  "no released migration was edited: a new one corrects it, as databases have applied the old text",
  () => {
    expect(editedFiles(FOLDER, RELEASED_LATER)).toEqual([]);
  },
);

describe("in a repository", () => {
  function newRepository(): string {
    const folder = mkdtempSync(join(tmpdir(), "history-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    git(folder, "init", "-q");
    writeFileSync(join(folder, "0001_first.sql"), "SELECT 1;\n");
    writeFileSync(join(folder, "0002_second.sql"), "SELECT 2;\n");
    commitAll(folder);
    return folder;
  }
  function commitAll(folder: string): void {
    git(folder, "add", "-A");
    git(folder, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "change");
  }

  test("an edited migration is found, committed or not, and a new one is none", () => {
    const folder = newRepository();
    writeFileSync(join(folder, "0003_new.sql"), "SELECT 3;\n");
    expect(editedFiles(folder)).toEqual([]);
    writeFileSync(join(folder, "0001_first.sql"), "SELECT 10;\n");
    expect(editedFiles(folder)).toEqual(["0001_first.sql"]);
    commitAll(folder);
    expect(editedFiles(folder)).toEqual(["0001_first.sql"]);
  });

  test("a deleted or renamed migration is found", () => {
    const folder = newRepository();
    git(folder, "mv", "0002_second.sql", "0002_other.sql");
    commitAll(folder);
    expect(editedFiles(folder)).toEqual(["0002_second.sql"]);
  });

  test("without history that is said", () => {
    const folder = mkdtempSync(join(tmpdir(), "no-history-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    expect(missingHistory(folder)).toBe("there is no git history here");
  });
});
