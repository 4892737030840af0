import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A Lua script as Redis gets it. */
export interface Script {
  readonly lua: string;
  /** Where a line of it, counted from 1, was written: `FILE:LINE`. */
  readonly whereIs?: (line: number) => string;
}

interface Line {
  readonly text: string;
  readonly where: string;
}

/**
 * Redis has no modules: a line like this stands for the lines of another file. Included files include no
 * others.
 */
const INCLUDE = /^--#include (\w+\.lua)$/;

/** Reads the script `NAME.lua` of a folder, with what it includes. Throws where a file is missing. */
export function readScript(folder: string, name: string): Script {
  const lines = linesOf(folder, `${name}.lua`).flatMap((line) => {
    const included = INCLUDE.exec(line.text)?.[1];
    return included === undefined ? [line] : linesOf(folder, included);
  });
  return {
    lua: lines.map(({ text }) => text).join("\n"),
    whereIs: (line) => lines[line - 1]?.where ?? `${name}.lua`,
  };
}

function linesOf(folder: string, file: string): Line[] {
  const texts = readFileSync(join(folder, file), "utf8").trimEnd().split("\n");
  return texts.map((text, index) => ({ text, where: `${file}:${index + 1}` }));
}

/** The message of a script's error, with the file and its line in place of the line of the whole script. */
export function locateInFiles(message: string, { whereIs }: Script): string {
  if (!whereIs) return message;
  return message.replaceAll(/@?user_script:(\d+)/g, (_, line: string) => whereIs(Number(line)));
}
