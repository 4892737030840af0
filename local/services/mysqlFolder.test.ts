import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Preparation, prepareFolder } from "./mysqlFolder.js";
import { findServer, type Program } from "./mysqlProgram.js";

const root = mkdtempSync(join(tmpdir(), "nonstop mysql folder-"));
const templates = join(root, "templates");
let program: Program;

beforeAll(async () => {
  program = await findServer();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Prepares a new data folder; returns its files and how often the preparing program ran. */
async function prepare(name: string, given: Partial<Preparation> = {}) {
  const folder = join(root, name);
  const logFile = join(root, `${name}.log`);
  mkdirSync(folder, { recursive: true });
  const stopping = new AbortController().signal;
  await prepareFolder(folder, { program, logFile, say: () => {}, stopping, templates, ...given });
  const log = existsSync(logFile) ? readFileSync(logFile, "utf8") : "";
  const runs = log.split("\n").filter((line) => line.endsWith("mysql: preparing its data folder starts"));
  return { files: readdirSync(join(folder, "files")), runs: runs.length };
}

describe("a new data folder", () => {
  test("is prepared by the program once, and from then on a copy", async () => {
    const [first, second] = [await prepare("first"), await prepare("second")];
    expect([first.runs, second.runs]).toEqual([1, 0]);
    expect(second.files).toEqual(first.files);
    expect(first.files).toContain("mysql");
    // Each server makes its own uuid and its own keys.
    expect(first.files.filter((name) => name === "auto.cnf" || name.endsWith(".pem"))).toEqual([]);
  });

  test("is prepared by the program where no template can be kept", async () => {
    writeFileSync(join(root, "occupied"), "");
    const { files, runs } = await prepare("alone", { templates: join(root, "occupied/templates") });
    expect([files.includes("mysql"), runs]).toEqual([true, 1]);
  });

  test("leaves nothing half done when its preparation is stopped", async () => {
    const own = join(root, "stopped templates");
    const stopping = new AbortController();
    const say = () => setImmediate(() => stopping.abort());
    const stopped = prepare("stopped", { templates: own, say, stopping: stopping.signal });
    await expect(stopped).rejects.toThrow("mysql: preparing its data folder failed");
    expect([readdirSync(own), existsSync(join(root, "stopped/files"))]).toEqual([[], false]);
    expect((await prepare("stopped", { templates: own })).files).toContain("mysql");
  });
});
