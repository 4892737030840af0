import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { type Addresses, type Stack, startStack } from "../../local/stack.js";
import type { BusName } from "../../local/stackBuses.js";
import type { ServerName } from "../../local/stackServers.js";
import { countingAt, type OtlpReceiver, startOtlpReceiver } from "./otlpReceiver.js";

type Settings = Readonly<Record<string, string>>;

/**
 * A stack that a test may kill, limit or starve, as no other file uses it. It costs many seconds to start.
 */
export interface OwnStack {
  readonly addresses: Addresses;
  /** The folder of its data and logs. */
  readonly folder: string;
  /** What its functions count comes here. */
  readonly receiver: OtlpReceiver;
  /** Sends a signal to a server, which is started again when it dies. */
  kill(name: ServerName, signal: NodeJS.Signals): void;
  /** Ends a server in an orderly way and resolves when it answers again. */
  restart(name: ServerName): Promise<void>;
}

/**
 * Starts a stack before the tests of a file, or of a block, and ends it after them. `settings` are those of
 * the app; a function is called when what was registered before has been done. Nothing can be used before.
 * The app publishes on `bus`; on that of the test run, which `EVENT_BUS` names, if none is said.
 */
export function ownStack(
  settings: Settings | (() => Settings | Promise<Settings>) = {},
  bus?: BusName,
): OwnStack {
  let folder: string;
  let receiver: OtlpReceiver;
  let stack: Stack | undefined;
  const running = (): Stack => {
    if (!stack) throw new Error("the stack does not run yet");
    return stack;
  };
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "nonstop-own-"));
    receiver = await startOtlpReceiver();
    const own = typeof settings === "function" ? await settings() : settings;
    const env = { ...countingAt(receiver.url), ...own };
    stack = await startStack({ data: folder, ports: "auto", quiet: true, bus, env });
  });
  afterAll(async () => {
    await stack?.close();
    await receiver.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    get addresses() {
      return running().addresses;
    },
    get folder() {
      return folder;
    },
    get receiver() {
      return receiver;
    },
    kill: (name, signal) => running().kill(name, signal),
    restart: (name) => running().restart(name),
  };
}
