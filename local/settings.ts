import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of package.json, whether this file runs from its source or from `dist`. */
export const projectRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

/** The secret, the issuer and the audience of tokens. `shared` has the side that checks them. */
export interface AuthSettings {
  readonly AUTH_JWT_SECRET: string;
  readonly AUTH_ISSUER: string;
  readonly AUTH_AUDIENCE: string;
}

/**
 * The settings for tokens. The environment wins, then `local.settings.json`, then
 * `local.settings.example.json`, as for the functions. Throws when there is no secret or a file is not JSON.
 */
export function readAuthSettings(env: NodeJS.ProcessEnv, root = projectRoot): AuthSettings {
  const file = ["local.settings.json", "local.settings.example.json"]
    .map((name) => join(root, name))
    .find((candidate) => existsSync(candidate));
  const values = file === undefined ? {} : readValues(file);
  const setting = (name: keyof AuthSettings) => env[name] || values[name];
  const secret = setting("AUTH_JWT_SECRET");
  if (secret === undefined)
    throw new Error("AUTH_JWT_SECRET is not set: put it into local.settings.json or into the environment");
  return {
    AUTH_JWT_SECRET: secret,
    AUTH_ISSUER: setting("AUTH_ISSUER") ?? "nonstop-chat-local",
    AUTH_AUDIENCE: setting("AUTH_AUDIENCE") ?? "nonstop-chat",
  };
}

function readValues(file: string): Readonly<Record<string, string>> {
  try {
    const settings = JSON.parse(readFileSync(file, "utf8").replace(/^\uFEFF/, ""));
    return settings.Values ?? {};
  } catch (cause) {
    throw new Error(`${file} cannot be read as JSON: ${(cause as Error).message}`, { cause });
  }
}

function findRoot(from: string): string {
  if (existsSync(join(from, "package.json"))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error("package.json of the project was not found above the running file");
  return findRoot(parent);
}
