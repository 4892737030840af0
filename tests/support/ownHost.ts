import { join } from "node:path";
import { startChild } from "../../local/services/child.js";
import { projectRoot } from "../../local/settings.js";
import { built } from "../../local/stackServers.js";
import settings from "../../local.settings.example.json" with { type: "json" };
import type { Addresses } from "./stack.js";

/** A Functions host of a test's own, in a process of its own. */
export interface OwnHost extends Pick<Addresses, "api"> {
  readonly pid: number;
  /** How the process ended. */
  readonly exited: Promise<string>;
  /** Ends it in an orderly way. */
  close(): Promise<void>;
}

/**
 * Runs the built app beside that of a stack, with other settings. It serves HTTP alone, so it takes no
 * partition from the stack's own host. Its log goes to `folder`.
 */
export async function startOwnHost(
  folder: string,
  env: Readonly<Record<string, string>>,
  triggers: "http" | "events" = "http",
): Promise<OwnHost> {
  const child = await startChild({
    name: "ownHost",
    program: built("local/functionsHost/main.js"),
    wrapped: false,
    args: ["--port", "0", "--app", projectRoot, "--triggers", triggers, "--exit-with-stdin"],
    env: { ...settings.Values, ...env },
    logFile: join(folder, `ownHost-${process.pid}.log`),
    startTimeoutMs: 60_000,
    stopTimeoutMs: 20_000,
  });
  return {
    api: `http://127.0.0.1:${String(child.report["port"])}`,
    pid: child.pid,
    exited: child.exited,
    close: () => child.stop(),
  };
}
