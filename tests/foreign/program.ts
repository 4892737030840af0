import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { until } from "../support/client.js";
import { CACHE } from "./cache.js";

const README = readFileSync("docs/examples/README.md", "utf8");

/** The README's commands for an example: what is to be done once, and how it is started. */
export function commandsOf(example: string): { readonly prepare: readonly string[]; readonly start: string } {
  const lines = README.split("\n").filter((line) => line.includes(`docs/examples/${example}`));
  const start = lines.find((line) => line.startsWith("TOKEN="));
  if (start === undefined) throw new Error(`the README has no command for ${example}`);
  const isCommand = (line: string): boolean => /^(python3|docs\/examples\/\S+\/pip) /.test(line);
  return { prepare: lines.filter(isCommand), start: start.replace(/^TOKEN=\$\(.*?\) /, "") };
}

/** What an example needs and this machine does not have. */
export function missing(programs: readonly string[]): readonly string[] {
  return programs.filter((program) => spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0);
}

/** A copy of the examples that may be built; packages and caches of its languages lie beside it. */
export function examplesCopy(language: string): { readonly folder: string; readonly env: NodeJS.ProcessEnv } {
  const folder = join(CACHE, language);
  mkdirSync(folder, { recursive: true });
  const isSource = (path: string): boolean => !["target", ".venv"].includes(basename(path));
  cpSync("docs/examples", join(folder, "docs/examples"), { recursive: true, filter: isSource });
  const env = {
    ...process.env,
    MAVEN_OPTS: `${process.env["MAVEN_OPTS"] ?? ""} -Dmaven.repo.local=${join(folder, "maven")}`,
    GOMODCACHE: join(folder, "modules"),
    GOCACHE: join(folder, "builds"),
    GOFLAGS: `${process.env["GOFLAGS"] ?? ""} -modcacherw`,
    PIP_CACHE_DIR: join(folder, "pip"),
  };
  return { folder, env };
}

/** A running example, as its user sees it. */
export interface Program {
  /** What it has printed of the room. */
  readonly lines: readonly string[];
  /** What else it has said. */
  readonly said: string;
  type(line: string): void;
  sees(line: string, ms?: number): Promise<void>;
  /** How many of the lines that it has said begin so. */
  count(beginning: string): number;
  /** Waits until that many do. */
  says(beginning: string, times?: number, ms?: number): Promise<void>;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
  stop(): void;
}

export function startProgram(command: string, folder: string, env: NodeJS.ProcessEnv): Program {
  // A group of its own: a build tool's children end with it.
  const child = spawn("sh", ["-c", command], { cwd: folder, env, detached: true });
  let [out, said, running] = ["", "", true];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    said += text;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (code) => {
      running = false;
      resolve(code);
    });
  });
  const wait = (holds: () => boolean, what: string, ms: number): Promise<void> =>
    until(() => holds() || !running, what, ms).then(
      () => {
        if (!holds()) throw new Error(`it ended before ${what}: ${said}${out}`);
      },
      () => {
        throw new Error(`not within ${ms} ms: ${what}; it said: ${said}${out}`);
      },
    );
  const program: Program = {
    get lines() {
      return out.split("\n").slice(0, -1);
    },
    get said() {
      return said;
    },
    type: (line) => void child.stdin.write(`${line}\n`),
    sees: (line, ms = 30_000) =>
      wait(() => program.lines.includes(line), `the line ${line.slice(0, 80)}`, ms),
    count: (beginning) => said.split("\n").filter((line) => line.startsWith(beginning)).length,
    says: (beginning, times = 1, ms = 30_000) =>
      wait(() => program.count(beginning) >= times, `${times} times "${beginning}"`, ms),
    ended,
    stop: () => {
      if (running && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    },
  };
  return program;
}
