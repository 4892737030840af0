import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** A run takes seconds, on a busy machine most of a minute. */
const LIMIT_MS = 300_000;

/** What parameters read from the environment: as azd has it, and nothing of the caller's. */
const SETTINGS = {
  AZURE_ENV_NAME: "test",
  AZURE_LOCATION: "koreacentral",
  AUTH_ISSUER: "https://id.example.com/",
  AUTH_AUDIENCE: "nonstop-chat",
  AUTH_JWKS_URI: "https://id.example.com/.well-known/jwks.json",
  AZURE_WEB_PUBSUB_NAME: "wps-test",
  AZURE_FUNCTION_APP_URL: "https://func-test.azurewebsites.net",
  AZURE_UPSTREAM_AUDIENCE: "api://AzureADTokenExchange",
};

/** What a snapshot is made for. Another place or name changes nearly every line of it. */
const PLACE = [
  "--subscription-id=00000000-0000-0000-0000-000000000001",
  "--tenant-id=00000000-0000-0000-0000-000000000002",
  "--deployment-name=nonstop-chat",
];
const IN_SUBSCRIPTION = "--location=koreacentral";
const IN_GROUP = "--resource-group=rg-test";

/**
 * The compiler that `BICEP` names, or one on the PATH, or the one that the tools of Azure have fetched.
 * Undefined where there is none. Throws where `BICEP` names no file.
 */
export function findCompiler(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env["BICEP"];
  if (named) {
    if (!existsSync(named)) throw new Error(`BICEP=${named} is no file: name a compiler, or leave it unset`);
    return named;
  }
  const folders = [...(env["PATH"] ?? "").split(delimiter), join(homedir(), ".azure", "bin")];
  return folders.map((folder) => join(folder, "bicep")).find((path) => existsSync(path));
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Bicep {
  readonly #path: string;
  /** The compiler unpacks a library at each start, and wants a folder that it can write to. */
  readonly #home = mkdtempSync(join(tmpdir(), "bicep-"));

  constructor(path: string) {
    this.#path = path;
  }

  /** Runs it on one file. Settings replace those of `SETTINGS`; undefined leaves one out. */
  run(args: readonly string[], settings: Readonly<Record<string, string | undefined>> = {}): Ran {
    const { status, stdout, stderr, error } = spawnSync(this.#path, args, {
      encoding: "utf8",
      timeout: LIMIT_MS,
      maxBuffer: 64 * 1_024 * 1_024,
      env: {
        ...SETTINGS,
        ...settings,
        DOTNET_BUNDLE_EXTRACT_BASE_DIR: this.#home,
        // Without it the compiler ends where the system has no ICU.
        DOTNET_SYSTEM_GLOBALIZATION_INVARIANT: "1",
      },
    });
    if (error) throw error;
    return { code: status, stdout, stderr };
  }

  /** Evaluates a parameter file; compares with the snapshot beside it, or writes that. */
  snapshot(file: string, mode: "validate" | "overwrite"): Ran {
    const scope = file.includes("webPubSubHub") ? IN_GROUP : IN_SUBSCRIPTION;
    return this.run(["snapshot", file, "--mode", mode, ...PLACE, scope]);
  }
}
