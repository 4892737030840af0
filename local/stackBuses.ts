import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { LOOPBACK } from "./ports.js";
import { pingKafka } from "./services/kafka.js";
import { findKafka, type KafkaProgram } from "./services/kafkaProgram.js";
import type { StackFolder } from "./stackFolder.js";
import { reachable } from "./stackParts.js";
import { eventHubsConnection, type Ports, type ServerName } from "./stackServers.js";

export const BUSES = ["eventhubs", "kafka"] as const;
export type BusName = (typeof BUSES)[number];

const NOTE = "bus.json";
const LOOK_MS = 2_000;
const ANSWER_MS = 10_000;
const MAX_LOOKS = 1_800;

/** A bus that a stack publishes on, or has published on. */
interface Used {
  readonly bus: BusName;
  /** Of a Kafka that is not the stack's own. */
  readonly brokers?: string;
}

/** The content of `bus.json`. */
interface Note extends Used {
  /** The bus before, as long as messages may wait there. */
  readonly former?: Used;
}

/** The bus that `EVENT_BUS` names, Event Hubs where it names none. Throws on anything else. */
export function busFromEnvironment(env: NodeJS.ProcessEnv): BusName {
  const text = env["EVENT_BUS"] || "eventhubs";
  const bus = BUSES.find((name) => name === text);
  if (bus === undefined) throw new Error(`EVENT_BUS is "${text}" but must be ${BUSES.join(" or ")}`);
  return bus;
}

/**
 * The bus of a stack and the one that its data folder had before, which runs, too, until all that waits there
 * is stored.
 */
export class StackBuses {
  readonly present: Used;
  readonly #folder: StackFolder;
  #former: Used | undefined;

  /** `brokers` are those of `KAFKA_BROKERS`. Throws when the change from the bus before can't be made. */
  constructor(folder: StackFolder, bus: BusName, brokers: string | undefined) {
    this.#folder = folder;
    const own = brokers === undefined || brokers === "";
    this.present = bus === "kafka" && !own ? { bus, brokers } : { bus };
    const former = formerOf(this.present, readNote(folder), folder.file(NOTE));
    // Brokers may have moved since.
    this.#former = former?.brokers !== undefined && !own ? { ...former, brokers } : former;
  }

  get former(): BusName | undefined {
    return this.#former?.bus;
  }

  /** The brokers of a Kafka in use that is not the stack's own. */
  get brokers(): string | undefined {
    return this.present.brokers ?? this.#former?.brokers;
  }

  uses(bus: BusName): boolean {
    return this.present.bus === bus || this.former === bus;
  }

  /** True when the stack has to start this server. */
  runs(server: "eventHubs" | "kafka"): boolean {
    return server === "kafka" ? this.uses("kafka") && this.brokers === undefined : this.uses("eventhubs");
  }

  /**
   * The Kafka to start, `undefined` where none is to be. One that is not to be had is an error: what waits in
   * the former bus may not be left behind.
   */
  async findKafka(
    env: NodeJS.ProcessEnv,
    say: (line: string) => void,
    stopping: AbortSignal,
  ): Promise<KafkaProgram | undefined> {
    if (!this.runs("kafka")) return undefined;
    return await findKafka({ env, say, stopping }).catch((error: Error) => {
      if (this.former !== "kafka") throw error;
      throw this.#isNeeded(
        `the Kafka of this data folder, so it has to run once more: ${error.message}`,
        error,
      );
    });
  }

  #isNeeded(why: string, cause: Error): Error {
    const giveUp = `To give these messages up, delete ${this.#folder.file(NOTE)}`;
    return new Error(`messages may still wait in ${why}. ${giveUp}`, { cause });
  }

  /** The servers of a bus that the stack does not start. */
  get notRun(): readonly ServerName[] {
    return (["eventHubs", "kafka"] as const).filter((server) => !this.runs(server));
  }

  /** Throws advice when a Kafka in use that is not the stack's own does not answer. */
  async reachBrokers(env: NodeJS.ProcessEnv): Promise<void> {
    const { brokers } = this;
    if (brokers === undefined) return;
    const ping = () => pingBrokers(brokers, env);
    if (this.former !== "kafka") return reachable("KAFKA_BROKERS", ping);
    await ping().catch((error: Error) => {
      throw this.#isNeeded(
        `the Kafka at ${brokers}, which does not answer (${error.message}): start it, or say in KAFKA_BROKERS where it is now`,
        error,
      );
    });
  }

  /** How clients reach each bus in use. The connection string is empty where Event Hubs is not. */
  addresses(ports: Pick<Ports, "eventHubs" | "kafka">): {
    readonly eventHubs: string;
    readonly kafka?: string;
  } {
    return {
      eventHubs: this.uses("eventhubs") ? eventHubsConnection(ports.eventHubs) : "",
      ...(this.uses("kafka") && { kafka: this.brokers ?? `${LOOPBACK}:${ports.kafka}` }),
    };
  }

  /** The app's settings. What is not in use is empty there, so that no settings file fills it in. */
  settings(ports: Pick<Ports, "eventHubs" | "kafka">): Record<string, string> {
    const { eventHubs, kafka = "" } = this.addresses(ports);
    return {
      EVENT_BUS: this.present.bus,
      EVENT_TRIGGER: "",
      EVENT_HUBS_CONNECTION: eventHubs,
      KAFKA_BROKERS: kafka,
      // The stack's own Kafka has no TLS and no accounts.
      ...(this.brokers === undefined && { KAFKA_SECURITY_PROTOCOL: "", KAFKA_SASL_MECHANISM: "" }),
    };
  }

  /** Notes in the data folder what the app publishes on. To be called before the app starts. */
  writeDown(): void {
    const note: Note = { ...this.present, ...(this.#former && { former: this.#former }) };
    this.#folder.write(NOTE, note);
  }

  /**
   * Asks the API from time to time, for an hour at most, whether the former bus is drained, and then forgets
   * it. Resolves when it is, or when `stopping` says so. Throws when `bus.json` can't be written.
   */
  async forgetWhenDrained(api: string, stopping: AbortSignal, say: (line: string) => void): Promise<void> {
    const { former } = this;
    if (former === undefined) return;
    say(`${former}: the bus before runs until all that waits there is stored`);
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const isDrained = await drained(api, stopping);
      if (stopping.aborted) return;
      if (isDrained) {
        this.#former = undefined;
        this.writeDown();
        return say(`${former}: all that waited there is stored; the next start is without it`);
      }
      await sleep(LOOK_MS, undefined, { signal: stopping }).catch(() => {});
    }
    say(
      `${former}: something still waits there, so the next start runs it again; see GET /health of the API`,
    );
  }
}

/** What `bus.json` says, or else what the data folder of an older stack shows. */
function readNote(folder: StackFolder): Note | undefined {
  const file = folder.file(NOTE);
  if (!existsSync(file)) return existsSync(folder.file("eventHubs")) ? { bus: "eventhubs" } : undefined;
  const note: unknown = parsed(readFileSync(file, "utf8"));
  if (isUsed(note) && (!("former" in note) || isUsed(note.former))) return note as Note;
  throw new Error(
    `${file} can't be read: put {"bus": "eventhubs"} there, or "kafka" where that was used last`,
  );
}

function formerOf(present: Used, before: Note | undefined, file: string): Used | undefined {
  if (before === undefined) return undefined;
  if (before.bus === present.bus && before.brokers === present.brokers) return before.former;
  if (before.bus === present.bus)
    throw new Error(
      `this data folder used ${nameOf(before)} until now, and messages may wait there: use it again, or change by way of --bus eventhubs, or choose another folder with --data DIR. If both are one Kafka by two names, delete ${file}`,
    );
  if (before.former !== undefined)
    throw new Error(
      `the change from ${nameOf(before.former)} to ${nameOf(before)} is not done, as messages still wait in the former: start once more with --bus ${before.bus} until "${before.former.bus}: all that waited there is stored"`,
    );
  return { bus: before.bus, ...(before.brokers !== undefined && { brokers: before.brokers }) };
}

function nameOf({ bus, brokers }: Used): string {
  if (bus === "eventhubs") return "Event Hubs";
  return brokers === undefined ? "its own Kafka" : `the Kafka at ${brokers}`;
}

async function drained(api: string, stopping: AbortSignal): Promise<boolean> {
  try {
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(ANSWER_MS)]);
    const answer: unknown = await (await fetch(`${api}/api/v1/chat/health`, { signal })).json();
    return isObject(answer) && answer["formerBus"] === "drained";
  } catch {
    return false;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isUsed(value: unknown): value is Used {
  if (!isObject(value) || !BUSES.some((name) => name === value["bus"])) return false;
  return value["brokers"] === undefined || typeof value["brokers"] === "string";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Pings the first of the brokers. */
async function pingBrokers(brokers: string, env: NodeJS.ProcessEnv): Promise<void> {
  const { hostname, port } = new URL(`kafka://${brokers.split(",")[0]!.trim()}`);
  // With TLS there is no answer to a plain request. The topics' script will tell whether it is there.
  const isPlain = (env["KAFKA_SECURITY_PROTOCOL"] || "PLAINTEXT") === "PLAINTEXT";
  if (isPlain) await pingKafka(hostname, Number(port || 9092));
}
