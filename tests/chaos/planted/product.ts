import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../../../local/settings.js";
import type { StackApp } from "../../../local/stackServers.js";

const PRODUCT = [
  "dist/functions",
  "dist/shared",
  // Scripts of Redis, and migrations.
  "shared",
  "package.json",
  "host.json",
  "local.settings.json",
  "local.settings.example.json",
];

/** Makes a copy of the built product in `folder`, with other code for one source file. */
export function copyProduct(folder: string, file: string, code: string): StackApp {
  mkdirSync(folder, { recursive: true });
  for (const name of PRODUCT)
    if (existsSync(join(projectRoot, name)))
      cpSync(join(projectRoot, name), join(folder, name), { recursive: true });
  symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "dist", file.replace(/\.ts$/, ".js")), code);
  return { folder };
}
