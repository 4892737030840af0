import { fileURLToPath } from "node:url";
import { connectBus } from "../bus/connectBus.js";
import type { EventBus } from "../bus/eventBus.js";
import { readBusConfig } from "../config.js";
import { createCredential } from "../platform/credential.js";
import { type Arguments, readArguments } from "./arguments.js";
import { isMeant } from "./choose.js";
import { contentOf, type Letter, type OnProgress, readLetters } from "./letters.js";
import { bodyOf, factsOf, pageOf, tableOf } from "./table.js";

const TOLD_MS = 2_000;

/** Tells now and then how far a hub has been read, which takes its time where there is much. */
function telling(hub: string): OnProgress {
  let told = performance.now();
  return (read, of) => {
    if (performance.now() - told < TOLD_MS) return;
    told = performance.now();
    console.error(`${hub}: ${read} of ${of} events read.`);
  };
}

/** The letters that are meant, oldest first. */
async function chosen(bus: EventBus, { hubs, filter }: Arguments): Promise<readonly Letter[]> {
  const all: Letter[] = [];
  for (const hub of hubs) {
    const { letters, unreadable } = await readLetters(bus, hub, 0, telling(hub));
    all.push(...letters.filter((letter) => isMeant(letter, filter)));
    if (unreadable.length > 0)
      console.error(
        `${hub}: ${unreadable.length} events are no whole dead letters: ${unreadable.slice(0, 20)}.`,
      );
  }
  return all.sort((one, other) => (one.when?.getTime() ?? 0) - (other.when?.getTime() ?? 0));
}

function list(letters: readonly Letter[], { json }: Arguments): number {
  if (json) for (const letter of letters) console.log(JSON.stringify(factsOf(letter)));
  else console.log(letters.length === 0 ? "There are no dead letters." : tableOf(letters));
  return 0;
}

async function show(bus: EventBus, [letter]: readonly Letter[], { json, hubs }: Arguments): Promise<number> {
  if (!letter) throw new Error(`${hubs} has no letter of this number, or not any more: see list --all.`);
  const content = await contentOf(bus, letter);
  console.log(json ? JSON.stringify({ ...factsOf(letter), ...bodyOf(content) }) : pageOf(letter, content));
  return 0;
}

/** Does what the arguments say, and resolves with the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const asked = readArguments(args, Date.now());
  const { eventBus, clientId } = readBusConfig(process.env);
  const bus = connectBus(eventBus, createCredential(clientId));
  try {
    const letters = await chosen(bus, asked);
    return asked.command === "list" ? list(letters, asked) : await show(bus, letters, asked);
  } finally {
    await bus.close();
  }
}

/** What went wrong, and why, as far as the errors below it say. */
function whyOf(error: unknown, depth = 0): readonly string[] {
  if (!(error instanceof Error) || depth > 3) return [];
  const causes = error instanceof AggregateError ? [error.cause, error.errors[0]] : [error.cause];
  return [error.message, ...causes.flatMap((cause) => whyOf(cause, depth + 1))].filter((text) => text !== "");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      console.error([...new Set(whyOf(error))].join("\n  "));
      process.exitCode = 1;
    },
  );
}
