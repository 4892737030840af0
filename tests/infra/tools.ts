import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where these tests keep the tools that they download. It may be deleted at any time. */
const CACHE = join(tmpdir(), "nonstop-chat-tools");

/** Says why a test is left out: what can't be had must not look like what was tested. */
function without(what: string, error: unknown): undefined {
  const reason = error instanceof Error ? error.message.split("\n").slice(0, 3).join(" ") : String(error);
  console.warn(`NOT RUN, as ${what} can't be had here: ${reason}`);
  return undefined;
}

/** An npm that runs these tests has said with which settings it runs. They are not meant for another one. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));

/**
 * The program of the newest Node of a major version: the one that runs this, or else npm's package of it.
 * `undefined` where it can't be had, which is said.
 */
export function findNode(major: number): string | undefined {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const folder = join(CACHE, `node-${major}`);
  const name = `node-${process.platform}-${process.arch}`;
  const program = join(folder, "node_modules", name, "bin/node");
  try {
    if (!existsSync(program)) {
      mkdirSync(folder, { recursive: true });
      const options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
      const args = ["install", ...options, "--prefix", folder, `${name}@${major}`];
      execFileSync("npm", args, { cwd: folder, env: environment(), stdio: "pipe", timeout: 300_000 });
    }
    execFileSync(program, ["--version"], { stdio: "pipe", timeout: 10_000 });
    return program;
  } catch (error) {
    return without(`Node ${major}`, error);
  }
}

/**
 * A program of a Python package: the one on the `PATH`, or else one installed into a folder of these tests.
 * `undefined` where it can't be had, which is said.
 */
export function findPythonTool(program: string, requirement: string): string | undefined {
  const folder = join(CACHE, requirement);
  const installed = join(folder, "bin", program);
  try {
    if (isOnPath(program)) return program;
    if (!existsSync(installed)) {
      execFileSync("python3", ["-m", "venv", folder], { stdio: "pipe", timeout: 120_000 });
      const pip = ["install", "--quiet", "--disable-pip-version-check", requirement];
      execFileSync(join(folder, "bin/pip"), pip, { stdio: "pipe", timeout: 300_000 });
    }
    return installed;
  } catch (error) {
    return without(program, error);
  }
}

/** A program of a Go module, likewise. */
export function findGoTool(program: string, module: string): string | undefined {
  const folder = join(CACHE, program);
  const installed = join(folder, program);
  try {
    if (isOnPath(program)) return program;
    if (!existsSync(installed)) {
      const env = {
        ...process.env,
        GOBIN: folder,
        GOMODCACHE: join(CACHE, "go/modules"),
        GOCACHE: join(CACHE, "go/builds"),
        GOFLAGS: "-modcacherw",
      };
      execFileSync("go", ["install", module], { env, stdio: "pipe", timeout: 600_000 });
    }
    return installed;
  } catch (error) {
    return without(program, error);
  }
}

function isOnPath(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
}
