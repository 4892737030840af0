import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "../cache.js";

/** A program that runs the checks with the SDK of one language. */
export interface Sdk {
  readonly name: string;
  /** Its folder beside this file. */
  readonly folder: string;
  readonly needs: readonly string[];
  /** Commands that download the SDK, in a copy of its folder. */
  readonly download: readonly string[];
  readonly build: readonly string[];
  readonly run: string;
  /** What it calls the errors that the checks provoke. */
  readonly errors: Errors;
}

interface Errors {
  readonly stolen: Failure;
  readonly refused: Failure;
  readonly noHub: Failure;
  readonly noHubProperties: Failure;
  readonly wrongKey: Failure;
  readonly wrongKeyProperties: Failure;
}

/** The SDK's own name for an error, and what its text says. */
export interface Failure {
  readonly error: string;
  readonly says: RegExp;
}

export const SDKS: readonly Sdk[] = [
  {
    name: "azure-eventhub 5.15 (Python)",
    folder: "python",
    needs: ["python3"],
    download: ["python3 -m venv .venv", ".venv/bin/pip install --quiet --requirement requirements.txt"],
    build: [],
    run: ".venv/bin/python checks.py",
    errors: {
      stolen: { error: "ConnectionLostError", says: /amqp:link:stolen/ },
      refused: { error: "ConnectionLostError", says: /amqp:link:stolen/ },
      // It asks for the hub's partitions before it sends.
      noHub: { error: "ConnectError", says: /Status code: 404/ },
      noHubProperties: { error: "ConnectError", says: /Status code: 404/ },
      wrongKey: { error: "AuthenticationError", says: /authentication failed/ },
      wrongKeyProperties: { error: "AuthenticationError", says: /authentication failed/ },
    },
  },
  {
    name: "azeventhubs 2.0 (Go)",
    folder: "go",
    needs: ["go"],
    download: ["go mod download"],
    build: ["go build -o checks ."],
    run: "./checks",
    errors: {
      stolen: { error: "ownershiplost", says: /amqp:link:stolen/ },
      refused: { error: "connlost", says: /amqp:link:stolen/ },
      noHub: { error: "amqpwrap.Error", says: /amqp:not-found/ },
      noHubProperties: { error: "amqpwrap.Error", says: /status code 404/ },
      wrongKey: { error: "unauthorized", says: /status code 401/ },
      wrongKeyProperties: { error: "amqpwrap.Error", says: /status code 401/ },
    },
  },
  {
    name: "azure-messaging-eventhubs 5.20 (Java)",
    folder: "java",
    needs: ["javac", "mvn"],
    download: ["mvn --quiet --batch-mode dependency:copy-dependencies -DoutputDirectory=lib"],
    build: ["javac -d classes -cp 'lib/*' Checks.java"],
    run: "java -cp 'classes:lib/*' Checks",
    errors: {
      stolen: { error: "LINK_STOLEN", says: /with higher epoch/ },
      refused: { error: "LINK_STOLEN", says: /the lower epoch/ },
      noHub: { error: "NOT_FOUND", says: /could not be found/ },
      noHubProperties: { error: "NOT_FOUND", says: /could not be found/ },
      wrongKey: { error: "UNAUTHORIZED_ACCESS", says: /401/ },
      wrongKeyProperties: { error: "UNAUTHORIZED_ACCESS", says: /401/ },
    },
  },
];

/** What one check has found, or the error that ended it. */
export interface Found {
  readonly check: string;
  readonly value?: unknown;
  readonly error?: string;
  readonly text?: string;
}

/** Where a program may be built; packages and caches of its language lie beside it. */
export function copyOf({ folder }: Sdk): { readonly cwd: string; readonly env: NodeJS.ProcessEnv } {
  const kept = join(CACHE, "eventHubs", folder);
  const cwd = join(kept, "program");
  mkdirSync(cwd, { recursive: true });
  cpSync(join("tests/foreign/eventHubs", folder), cwd, { recursive: true });
  const env = {
    ...process.env,
    MAVEN_OPTS: `${process.env["MAVEN_OPTS"] ?? ""} -Dmaven.repo.local=${join(kept, "maven")}`,
    GOMODCACHE: join(kept, "modules"),
    GOCACHE: join(kept, "builds"),
    GOFLAGS: `${process.env["GOFLAGS"] ?? ""} -modcacherw`,
    PIP_CACHE_DIR: join(kept, "pip"),
  };
  return { cwd, env };
}

/** Runs commands in a program's folder; throws with what was said when one fails. */
export function runIn(sdk: Sdk, commands: readonly string[]): void {
  const { cwd, env } = copyOf(sdk);
  for (const command of commands)
    execFileSync("sh", ["-c", command], { cwd, env, stdio: "pipe", timeout: 10 * 60_000 });
}
