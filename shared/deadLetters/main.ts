import { fileURLToPath } from "node:url";
import { connectBus } from "../bus/connectBus.js";
import type { EventBus } from "../bus/eventBus.js";
import { readBusConfig, readMysqlConfig } from "../config.js";
import { createCredential } from "../platform/credential.js";
import { runProgram } from "../platform/program.js";
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

if (process.argv[1] === fileURLToPath(import.meta.url)) runProgram(main, 1);
