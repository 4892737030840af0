import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";

/** The app of this folder, and the root of the project. */
export const appFolder = fileURLToPath(new URL(".", import.meta.url));
const root = resolve(appFolder, "../../..");

/** A folder below node_modules, so that what is written there finds the project's packages. */
export function scratchFolder(): { path: string; remove(): void } {
  const base = join(root, "node_modules/.cache");
  mkdirSync(base, { recursive: true });
  const path = mkdtempSync(join(base, "functions-host-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 3 }) };
}

/**
 * The main file of the compiled host, which `npm test` has just built. Throws where it is missing or was
 * built from other sources: a test of an old host would prove nothing.
 */
export async function builtHost(): Promise<string> {
  const main = join(root, "dist/local/functionsHost/main.js");
  const stamp = join(root, "dist/.built");
  const { sources } = await import(pathToFileURL(join(root, "local/setupBuild.mjs")).href);
  const ofHost = (files: readonly File[]) =>
    files.filter(([file]) => file.startsWith("local/functionsHost/"));
  const built: readonly File[] = existsSync(stamp) ? JSON.parse(readFileSync(stamp, "utf8")) : [];
  if (existsSync(main) && isDeepStrictEqual(ofHost(built), ofHost(sources(root)))) return main;
  throw new Error(`${main} is missing or older than its sources: run npm run build:local, or use npm test.`);
}

type File = readonly [file: string, size: number, mtimeMs: number];

export interface Running {
  readonly child: ChildProcess;
  readonly ready: { port: number; functions: string[] };
  /** All that came on stderr up to now. */
  log(): string;
  /** Resolves to the exit code when it has ended by itself. */
  ended(): Promise<number | null>;
  /** Sends a signal and waits for the end; resolves to the exit code. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts the host in a process of its own and waits for its ready line; rejects with its log when it ends
 * instead.
 */
export async function runHost(
  main: string,
  env: Record<string, string>,
  ...args: string[]
): Promise<Running> {
  const child = spawn(process.execPath, [main, "--port", "0", "--exit-with-stdin", ...args], {
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
  });
  let log = "";
  child.stderr.on("data", (chunk) => {
    log += chunk;
  });
  const exited = once(child, "close").then(([code]) => code as number | null);
  const lines = createInterface(child.stdout);
  const first = once(lines, "line").then(([line]) => String(line));
  const line = await Promise.race([first, exited]);
  if (typeof line !== "string") throw new Error(`the host ended with code ${line}: ${log}`);
  return {
    child,
    ready: JSON.parse(line),
    log: () => log,
    ended: () => exited,
    end: async (signal = "SIGTERM") => {
      child.kill(signal);
      return exited;
    },
  };
}

/** Azurite's blob service on a port, its data in `folder`; returns its connection string too. */
export async function runAzurite(folder: string, port: number) {
  const bin = join(root, "node_modules/azurite/dist/src/blob/main.js");
  const args = ["--blobHost", "127.0.0.1", "--blobPort", `${port}`, "--location", folder];
  const child = spawn(
    process.execPath,
    [bin, ...args, "--skipApiVersionCheck", "--disableTelemetry", "--silent"],
    { cwd: folder, stdio: "ignore" },
  );
  const exited = once(child, "exit");
  await eventually(async () => {
    await fetch(`http://127.0.0.1:${port}/`);
    return true;
  });
  const key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
  return {
    connection: `DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=${key};BlobEndpoint=http://127.0.0.1:${port}/devstoreaccount1;`,
    end: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Waits until `condition` gives something truthy and returns it; what it throws counts as "not yet". */
export async function eventually<T>(condition: () => T | Promise<T>, seconds = 300): Promise<NonNullable<T>> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    let failure: unknown = "the condition did not come true";
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      failure = error;
    }
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${failure}`, { cause: failure });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
