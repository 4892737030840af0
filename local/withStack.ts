import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { projectRoot } from "./settings.js";
import type { Addresses } from "./stack.js";

/**
 * Runs a program that takes its settings from the environment: `withStack.js PROGRAM [ARGUMENT...]`. Where the
 * environment names no bus, the program gets the addresses of the stack that runs here, on the data folder
 * that `--data DIR` names, or else on `.local`.
 */
const ADDRESSES = [
  "EVENT_HUBS_CONNECTION",
  "EVENT_HUBS_CONNECTION__fullyQualifiedNamespace",
  "KAFKA_BROKERS",
];

/** The settings of the stack that runs on `data`. None when no stack runs there. */
function ofStack(data: string): Readonly<Record<string, string>> {
  let stack: Addresses;
  try {
    stack = JSON.parse(readFileSync(join(data, "stack.json"), "utf8"));
  } catch {
    return {};
  }
  const { bus, eventHubs, kafka = "", mysql } = stack;
  const onKafka = bus === "kafka";
  return {
    EVENT_BUS: bus,
    EVENT_HUBS_CONNECTION: onKafka ? "" : eventHubs,
    KAFKA_BROKERS: onKafka ? kafka : "",
    MYSQL_URL: mysql,
  };
}

const [program = "", ...args] = process.argv.slice(2);
const isNamed = ADDRESSES.some((name) => process.env[name]);
const option = args.indexOf("--data");
const [, folder = ".local"] = option < 0 ? [] : args.splice(option, 2);
const child = spawn(process.execPath, [join(projectRoot, program), ...args], {
  stdio: "inherit",
  env: isNamed ? process.env : { ...process.env, ...ofStack(resolve(projectRoot, folder)) },
});
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.once("exit", (code, signal) => {
  process.exitCode = code ?? (signal ? 1 : 0);
});
