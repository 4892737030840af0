import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { projectRoot } from "./settings.js";

/** What `processes.mjs` says: the set-up needs it before there is a build, the servers after. */
interface Processes {
  birth(pid: number): string;
  isRunning(pid: number, born?: string): boolean;
}

const file = pathToFileURL(join(projectRoot, "local/processes.mjs"));
export const { birth, isRunning }: Processes = await import(file.href);
