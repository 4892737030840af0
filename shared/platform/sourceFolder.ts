import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * A folder of `shared` whose files are read as they are, such as SQL and Lua. The compiler does not copy
 * them, so code that runs from `dist` reads them where the sources are; a deployed app has both.
 */
export function sourceFolder(path: string): string {
  const amongSources = fileURLToPath(new URL(`../${path}/`, import.meta.url));
  if (existsSync(amongSources)) return amongSources;
  return fileURLToPath(new URL(`../../../shared/${path}/`, import.meta.url));
}
