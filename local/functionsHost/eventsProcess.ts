import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** A host of its own for the triggers that are not HTTP. */
export interface EventsProcess {
  /** Calls a timer of its app now. */
  callTimer(name: string): void;
  /** Ends it and waits until it has gone; bounded by its own stop. */
  close(): Promise<void>;
}

/**
 * Starts this program once more for the Event Hub and timer triggers alone, so that storing and answering share no event loop, as they
 * share no instance where Azure scales functions apart. Resolves when it is ready; `onEnd` hears when it ends by itself. It never outlives this process.
 */
export async function startEventsProcess(
  program: string,
  args: readonly string[],
  onEnd: (code: number | string | null) => void,
): Promise<EventsProcess> {
  const child = spawn(
    process.execPath,
    [...process.execArgv, program, ...args, "--triggers", "events", "--exit-with-stdin"],
    { stdio: ["pipe", "pipe", "inherit", "ipc"] },
  );
  let closing = false;
  const ended = once(child, "exit");
  void ended.then(([code, signal]) => closing || onEnd(code ?? signal));
  child.stdin!.on("error", () => {});
  await Promise.race([once(createInterface(child.stdout!), "line"), ended]);
  return {
    callTimer(name) {
      // It may have died just now, and so do we then.
      if (child.connected) child.send({ callTimer: name } satisfies Message, () => {});
    },
    async close() {
      closing = true;
      child.stdin!.end();
      await ended;
    },
  };
}

/** What the process that serves HTTP sends. */
interface Message {
  readonly callTimer: string;
}

/** In the process that was started: hears which timer is to be called. */
export function onCallTimer(call: (name: string) => void): void {
  process.on("message", ({ callTimer }: Message) => call(callTimer));
}
