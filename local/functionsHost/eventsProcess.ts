import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** A host of its own for the triggers that are not HTTP. */
export interface EventsProcess {
  /** Calls one of the app's timers now. */
  callTimer(name: string): void;
  /** Ends the process and waits until it is gone. Its own stop bounds the wait. */
  close(): Promise<void>;
}

/**
 * Starts this program once more for the Event Hub, Kafka and timer triggers alone. Storing and answering then share
 * no event loop, just as they share no instance where Azure scales functions apart. Resolves when the process
 * is ready. `onEnd` is called when it ends by itself. It never outlives this process.
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
      // The process may have died just now, and then this one ends too.
      if (child.connected) child.send({ callTimer: name } satisfies Message, () => {});
    },
    async close() {
      closing = true;
      child.stdin!.end();
      await ended;
    },
  };
}

/** The messages that the process serving HTTP sends. */
interface Message {
  readonly callTimer: string;
}

/** In the process that was started: calls `call` with the name of each timer that the parent wants to run. */
export function onCallTimer(call: (name: string) => void): void {
  process.on("message", ({ callTimer }: Message) => call(callTimer));
}
