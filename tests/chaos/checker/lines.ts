import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Line } from "../clients/history.js";

/**
 * All histories of a folder, one after the other, each in its own order. A line that was torn when its process
 * died is left out: what it was about to say is not proved.
 */
export function readLines(folder: string): Line[] {
  const files = readdirSync(folder).filter((name) => name.endsWith(".jsonl"));
  return files.sort().flatMap((name) => linesOf(readFileSync(join(folder, name), "utf8"), name));
}

function linesOf(text: string, file: string): Line[] {
  const rows = text.split("\n");
  return rows.flatMap((row, index) => {
    if (row === "") return [];
    try {
      return [JSON.parse(row)];
    } catch (error) {
      if (index === rows.length - 1) return [];
      throw new Error(`line ${index + 1} of ${file} is no JSON`, { cause: error });
    }
  });
}
