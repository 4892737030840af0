import { execFile } from "node:child_process";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { projectRoot } from "../../../local/settings.js";
import { applyPatch, type Patch, parsePatch } from "./patch.js";

const COMPILE_MS = 300_000;

export function patchOf(name: string): Patch {
  return parsePatch(readFileSync(join(projectRoot, "tests/chaos/planted", `${name}.patch`), "utf8"));
}

/** Compiles a copy of the sources in `folder`, with each patched file beside the one that it would replace. */
export async function compilePlanted(folder: string, names: readonly string[]): Promise<void> {
  cpSync(join(projectRoot, "shared"), join(folder, "shared"), { recursive: true });
  symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
  for (const file of ["package.json", "tsconfig.json"]) cpSync(join(projectRoot, file), join(folder, file));
  for (const name of names) {
    const patch = patchOf(name);
    const source = readFileSync(join(projectRoot, patch.file), "utf8");
    writeFileSync(join(folder, beside(patch.file, name)), applyPatch(patch, source));
  }
  const options = {
    extends: "./tsconfig.json",
    compilerOptions: { noEmit: false, outDir: "out", rootDir: "." },
  };
  const config = { ...options, include: ["shared"], exclude: ["**/*.test.ts"] };
  writeFileSync(join(folder, "tsconfig.planted.json"), JSON.stringify(config));
  const tsc = join(projectRoot, "node_modules/typescript/bin/tsc");
  const args = [tsc, "-p", "tsconfig.planted.json"];
  await promisify(execFile)(process.execPath, args, { cwd: folder, timeout: COMPILE_MS }).catch(
    (cause: Error & { stdout?: string }) => {
      throw new Error(`the planted faults do not compile:\n${cause.stdout || cause.message}`, { cause });
    },
  );
}

/** The code of a source file as it is or, with `name`, as that patch has it. */
export function compiledOf(folder: string, file: string, name?: string): string {
  const source = name === undefined ? file : beside(file, name);
  return readFileSync(join(folder, "out", source.replace(/\.ts$/, ".js")), "utf8");
}

const beside = (file: string, name: string): string => file.replace(/\.ts$/, `.${name}.ts`);
