import { fileURLToPath } from "node:url";
import { connectBus } from "../bus/connectBus.js";
import type { EventBus } from "../bus/eventBus.js";
import { readBusConfig, readMysqlConfig } from "../config.js";
import { createCredential } from "../platform/credential.js";
import { openDatabase } from "../store/database.js";
import { type Arguments, readArguments } from "./arguments.js";
import { drop, list, replay, show } from "./commands.js";
import { readChosen } from "./read.js";
import { storedIn } from "./stored.js";

/** Does what the arguments say, and resolves with the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const asked = readArguments(args, Date.now());
  const { eventBus, clientId } = readBusConfig(process.env);
  // Nothing is published where it can't be seen afterwards what became of it.
  const mysql = asked.command === "replay" ? readMysqlConfig(process.env) : undefined;
  const credential = createCredential(clientId);
  const bus = connectBus(eventBus, credential);
  try {
    if (!mysql) return await withBus(bus, asked);
    const identity = mysql.entra ? { credential } : {};
    const database = openDatabase(mysql.url, { poolSize: 2, ...identity });
    try {
      await database.query("SELECT 1");
      return await replay(bus, await readChosen(bus, asked), asked, storedIn(database));
    } finally {
      await database.end();
    }
  } finally {
    await bus.close();
  }
}

async function withBus(bus: EventBus, asked: Arguments): Promise<number> {
  const chosen = await readChosen(bus, asked);
  if (asked.command === "list") return list(chosen, asked);
  return asked.command === "show" ? show(bus, chosen, asked) : drop(bus, chosen, asked);
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
