import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { projectRoot } from "../../local/settings.js";

// Plain JavaScript without declarations: imported by address.
const { sources } = await import(pathToFileURL(join(projectRoot, "local/setupBuild.mjs")).href);

/** A project with our configuration and set-ups, and one test of each kind that runs what is built. */
const root = mkdtempSync(join(tmpdir(), "nonstop-built-"));
const OF_SERVERS = "tests/integration/lostConnections.test.ts";
const OF_STACK = "tests/e2e/rooms.test.ts";

beforeAll(() => {
  const copied = [
    "package.json",
    "vitest.config.ts",
    "local.settings.example.json",
    "local",
    "tests/support",
  ];
  for (const path of copied) cpSync(join(projectRoot, path), join(root, path), { recursive: true });
  symlinkSync(join(projectRoot, "node_modules"), join(root, "node_modules"));
  for (const path of [OF_SERVERS, OF_STACK]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), 'import { test } from "vitest";\ntest("passes", () => {});\n');
  }
});
beforeEach(() => {
  rmSync(join(root, "dist"), { recursive: true, force: true });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** What `npx vitest run` says of a file, and its exit code. */
function run(file: string): { status: number | null; said: string } {
  const program = join(projectRoot, "node_modules/vitest/vitest.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, "run", file], {
    cwd: root,
    env: { ...process.env, NO_COLOR: "1" },
    encoding: "utf8",
  });
  return { status, said: stdout + stderr };
}

function writeStamp(built: unknown): void {
  mkdirSync(join(root, "dist"));
  writeFileSync(join(root, "dist/.built"), JSON.stringify(built));
}

test.each([OF_SERVERS, OF_STACK])("%s is not run without a build: what to run is said", (file) => {
  const { status, said } = run(file);
  expect(status).toBe(1);
  expect(said).toContain("The build in dist is missing or older than the sources. Run `npm run build:local`");
  expect(said).not.toContain("1 passed");
});

test.each([OF_SERVERS, OF_STACK])("%s is not run on a build of older sources either", (file) => {
  const [[path, size, changed], ...others] = sources(root);
  writeStamp([[path, size, changed - 1], ...others]);
  const { status, said } = run(file);
  expect(status).toBe(1);
  expect(said).toContain("The build in dist is missing or older than the sources. Run `npm run build:local`");
});

test("a test is run on a build of the sources as they are", () => {
  writeStamp(sources(root));
  const { status, said } = run(OF_SERVERS);
  expect(said).toContain("1 passed");
  expect(status).toBe(0);
});
