import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { readJson } from "./hostJson.js";

/**
 * The files that `main` in the package.json of `app` names, sorted, because the real host loads its matches
 * in that order too. `main` may be a pattern with `*`, `**`, `?` and `{a,b}`, relative to `app`. Throws when
 * no file matches.
 */
export function findAppFiles(app: string, main?: string): string[] {
  const manifest = join(app, "package.json");
  const pattern = main ?? mainOf(manifest, app);
  const files = expandBraces(pattern.replace(/\\/g, "/"))
    .flatMap((one) => matchFiles(app, one))
    .filter((file, index, all) => all.indexOf(file) === index)
    .sort();
  if (files.length === 0)
    throw new Error(
      `"main": "${pattern}" of ${manifest} matches no file: build the app first, or correct "main"`,
    );
  return files;
}

function mainOf(manifest: string, app: string): string {
  if (!existsSync(manifest))
    throw new Error(`${app} has no package.json: --app must name the folder of a Functions app`);
  const { main } = readJson(manifest);
  if (typeof main !== "string" || main === "")
    throw new Error(`${manifest} needs "main": the file or pattern of files that register the functions`);
  return main;
}

function matchFiles(app: string, pattern: string): string[] {
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  const firstWild = parts.findIndex((part) => /[*?]/.test(part));
  if (firstWild < 0) return existsSync(join(app, pattern)) ? [resolve(app, pattern)] : [];
  const base = resolve(app, ...parts.slice(0, firstWild));
  return existsSync(base) ? walk(base, parts.slice(firstWild)) : [];
}

function walk(folder: string, parts: readonly string[]): string[] {
  const [part, ...rest] = parts;
  if (part === undefined) return [];
  const entries = readdirSync(folder, { withFileTypes: true });
  if (part === "**") {
    const below = entries.filter((entry) => entry.isDirectory() && entry.name !== "node_modules");
    return [...walk(folder, rest), ...below.flatMap((entry) => walk(join(folder, entry.name), parts))];
  }
  const matching = entries.filter((entry) => wildcard(part).test(entry.name));
  if (rest.length > 0)
    return matching
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => walk(join(folder, entry.name), rest));
  return matching.filter((entry) => !entry.isDirectory()).map((entry) => join(folder, entry.name));
}

function wildcard(part: string): RegExp {
  const source = part
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*+/g, "[^/]*")
    .replace(/\?/g, "[^/]");
  // A name that starts with a dot is matched only by a pattern that starts with one, as in a shell.
  return new RegExp(`^${part.startsWith(".") ? "" : "(?!\\.)"}${source}$`);
}

function expandBraces(pattern: string): string[] {
  const match = /^(.*?)\{([^{}]*)\}(.*)$/.exec(pattern);
  if (!match) return [pattern];
  return match[2]!.split(",").flatMap((choice) => expandBraces(`${match[1]}${choice}${match[3]}`));
}
