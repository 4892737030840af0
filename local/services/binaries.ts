import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { projectRoot } from "../settings.js";

interface Binaries {
  findMySql(env: NodeJS.ProcessEnv): { readonly server: string; readonly install?: string } | undefined;
  noProgram(path: string): string;
  findRedis(env: NodeJS.ProcessEnv): string | undefined;
}

/**
 * The search in `binaries.mjs`. The set-up uses it before the project is built, and the compiler leaves it
 * out of `dist`.
 */
export async function findBinaries(): Promise<Binaries> {
  return await import(pathToFileURL(join(projectRoot, "local/services/binaries.mjs")).href);
}
