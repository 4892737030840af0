import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { unzipSync } from "fflate";
import { projectRoot } from "../../local/settings.js";

export const ZIP = join(projectRoot, "dist/package.zip");

/** Makes the package, as `npm run package` does, and resolves with what it prints. */
export async function makePackage(): Promise<string> {
  const options = { cwd: projectRoot, timeout: 300_000 };
  return (await promisify(execFile)(process.execPath, ["local/package.mjs"], options)).stdout;
}

/** Unzips the package into a folder, and returns the names of its files in their order. */
export function unzipPackage(folder: string): readonly string[] {
  const content = unzipSync(readFileSync(ZIP));
  for (const [name, bytes] of Object.entries(content)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  return Object.keys(content);
}
