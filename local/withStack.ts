import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { projectRoot } from "./settings.js";
import type { Addresses } from "./stack.js";

/**
 * Runs a program that takes its settings from the environment: `withStack.js PROGRAM [ARGUMENT...]`. Where the
 * environment names none of the services, or no others than those of the stack that runs here, the program
 * gets that stack's addresses. It is the stack on the data folder that `--data DIR` names, or else on
 * `.local`. The services of two systems are never mixed.
 */
const ADDRESSES = [
  "EVENT_HUBS_CONNECTION",
  "EVENT_HUBS_CONNECTION__fullyQualifiedNamespace",
  "KAFKA_BROKERS",
  "MYSQL_URL",
  "REDIS_URL",
  "WEB_PUBSUB_CONNECTION",
];

/** The settings of the stack that runs on `data`. None when no stack runs there. */
function ofStack(data: string): Readonly<Record<string, string>> {
  let stack: Addresses;
  try {
    stack = JSON.parse(readFileSync(join(data, "stack.json"), "utf8"));
  } catch {
    return {};
  }
  const { bus, eventHubs, kafka = "", mysql, redis, webPubSubConnection } = stack;
  const onKafka = bus === "kafka";
  return {
    EVENT_BUS: bus,
    EVENT_HUBS_CONNECTION: onKafka ? "" : eventHubs,
    KAFKA_BROKERS: onKafka ? kafka : "",
    MYSQL_URL: mysql,
    REDIS_URL: redis,
    WEB_PUBSUB_CONNECTION: webPubSubConnection,
  };
}

const [program = "", ...args] = process.argv.slice(2);
const option = args.indexOf("--data");
const [, folder = ".local"] = option < 0 ? [] : args.splice(option, 2);
const stack = ofStack(resolve(projectRoot, folder));
const isNamed = ADDRESSES.some((name) => process.env[name] && process.env[name] !== stack[name]);
const child = spawn(process.execPath, [join(projectRoot, program), ...args], {
  stdio: "inherit",
  env: isNamed ? process.env : { ...process.env, ...stack },
});
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.once("exit", (code, signal) => {
  process.exitCode = code ?? (signal ? 1 : 0);
});
