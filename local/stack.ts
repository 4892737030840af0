import { join } from "node:path";
import { LOOPBACK } from "./ports.js";
import { azuriteSpec, storageConnection } from "./services/azurite.js";
import type { ChildSpec } from "./services/child.js";
import { kafkaSpec } from "./services/kafka.js";
import type { KafkaProgram } from "./services/kafkaProgram.js";
import { mySqlSpec, mySqlUrl, pingMySql } from "./services/mysql.js";
import { findServer, type Program } from "./services/mysqlProgram.js";
import { redisSpec } from "./services/redis.js";
import { type AuthSettings, projectRoot, readAuthSettings } from "./settings.js";
import { type BusName, busFromEnvironment, StackBuses } from "./stackBuses.js";
import { StackFolder } from "./stackFolder.js";
import { choosePorts, inParallel, pingUrl, reachable, runScript } from "./stackParts.js";
import {
  eventHubsSpec,
  functionsHostSpec,
  type Ports,
  PROJECT_APP,
  pageSpec,
  type ServerName,
  type StackApp,
  webPubSubConnection,
  webPubSubSpec,
} from "./stackServers.js";
import { Supervised } from "./supervisor.js";

type Settings = Readonly<Record<string, string>>;

/** The content of `stack.json` in the data folder while the stack runs. */
export interface Addresses {
  readonly page: string;
  readonly api: string;
  readonly webPubSub: string;
  readonly webPubSubConnection: string;
  /** The bus that the app publishes on. */
  readonly bus: BusName;
  /** The bus before, as long as something may wait there. */
  readonly formerBus?: BusName;
  /** The connection string; empty where Event Hubs is none of the two. */
  readonly eventHubs: string;
  /** The brokers, where Kafka is one of the two: `HOST:PORT` with commas between. */
  readonly kafka?: string;
  readonly mysql: string;
  readonly redis: string;
  readonly storage: string;
  /** The settings that tokens for this stack are made with. */
  readonly auth: AuthSettings;
  /** The pids of the servers themselves, without those that other programs' addresses replace. */
  readonly pids: Readonly<Partial<Record<ServerName | "stack", number>>>;
}

export interface StackOptions {
  /** The folder of all data and logs of this stack. One stack at a time uses it. */
  readonly data: string;
  /** `fixed` takes the usual ports, or those of the environment. `auto` takes free ones. */
  readonly ports: "auto" | "fixed";
  /** What the app publishes on; what `EVENT_BUS` names, or else Event Hubs, if not said. */
  readonly bus?: BusName | undefined;
  readonly quiet?: boolean;
  /** Variables that win over the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** The app to run instead of the one that this project's build made. */
  readonly app?: StackApp;
  /** Starts a server that keeps dying again for ever, as its code may be mended meanwhile. */
  readonly keepsTrying?: boolean;
  /** Called after the stack has stopped because a process could not be kept running. */
  readonly onGivenUp?: (reason: string) => void;
  /** Gets the stack as soon as its start begins. Closing it then ends the start, which throws. */
  readonly onStarting?: (stack: Stack) => void;
}

/**
 * Starts the whole system on this machine, each server as a process of its own from `dist`, and resolves when
 * all answer. When it throws, nothing is running any more.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const stack = new Stack(options, new StackFolder(options.data));
  options.onStarting?.(stack);
  try {
    await stack.start();
    return stack;
  } catch (error) {
    await stack.close();
    throw error;
  }
}

/** A running system; made by `startStack`. */
export class Stack {
  readonly #options: StackOptions;
  readonly #folder: StackFolder;
  readonly #env: NodeJS.ProcessEnv;
  readonly #app: StackApp;
  readonly #servers = new Map<string, Supervised>();
  #ports: Ports | undefined;
  /** The database server to run, where `MYSQL_URL` names none. */
  #mySql: Program | undefined;
  #buses: StackBuses | undefined;
  #complete = false;
  #closed: Promise<void> | undefined;
  readonly #stopping = new AbortController();

  constructor(options: StackOptions, folder: StackFolder) {
    this.#options = options;
    this.#folder = folder;
    this.#env = { ...process.env, ...options.env };
    this.#app = options.app ?? PROJECT_APP;
  }

  get addresses(): Addresses {
    const ports = this.#ports!;
    const pids = [...this.#servers].map(([name, server]) => [name, server.pid]);
    return {
      page: `http://${LOOPBACK}:${ports.page}`,
      api: `http://${LOOPBACK}:${ports.functionsHost}`,
      webPubSub: `ws://${LOOPBACK}:${ports.webPubSub}/client/hubs/chat`,
      webPubSubConnection: webPubSubConnection(ports.webPubSub),
      bus: this.#buses!.present.bus,
      ...(this.#buses!.former && { formerBus: this.#buses!.former }),
      ...this.#buses!.addresses(ports),
      mysql: this.#env["MYSQL_URL"] || mySqlUrl(this.#mySql!, ports.mysql),
      redis: this.#env["REDIS_URL"] || `redis://${LOOPBACK}:${ports.redis}`,
      storage: storageConnection(ports.storage),
      auth: readAuthSettings(this.#env),
      pids: { stack: process.pid, ...Object.fromEntries(pids) },
    };
  }

  /** Called once, by `startStack`. */
  async start(): Promise<void> {
    readAuthSettings(this.#env);
    const bus = this.#options.bus ?? busFromEnvironment(this.#env);
    const buses = new StackBuses(this.#folder, bus, this.#env["KAFKA_BROKERS"]);
    this.#buses = buses;
    await this.#folder.clearLeftovers();
    if (!this.#env["MYSQL_URL"]) this.#mySql = await findServer(this.#env);
    const kafka = await buses.findKafka(this.#env, this.#say, this.#stopping.signal);
    this.#ports = await choosePorts(this.#options.ports, this.#env, buses.notRun);
    const { redis, storage, eventHubs, webPubSub, functionsHost, page } = this.#ports;
    const folder = this.#folder;
    // Made before the other servers start, which takes longer: it throws when there is no page to serve.
    const env = { ...this.addresses.auth, PAGE_IMAGE_HOSTS: this.#env["PAGE_IMAGE_HOSTS"] ?? "" };
    const pageServer = pageSpec(folder, page, this.addresses, env);
    await inParallel([
      () => this.#startMySql(),
      async () => {
        if (this.#env["REDIS_URL"]) await reachable("REDIS_URL", () => pingUrl(this.addresses.redis));
        else await this.#run(await redisSpec(folder.file("redis"), redis, folder.log("redis")));
      },
      () => this.#run(azuriteSpec(folder.file("storage"), storage, folder.log("storage"))),
      async () => {
        if (buses.runs("eventHubs")) await this.#run(eventHubsSpec(folder, eventHubs));
      },
      () => this.#startKafka(buses, kafka),
    ]);
    await this.#run(webPubSubSpec(folder, webPubSub, functionsHost));
    // From here on the app may publish.
    buses.writeDown();
    await this.#run(functionsHostSpec(folder, functionsHost, page, this.#appSettings(), this.#app));
    await this.#run(pageServer);
    this.#complete = true;
    this.#writeDown();
    buses.forgetWhenDrained(this.addresses.api, this.#stopping.signal, this.#say).then(
      () => this.#writeDown(),
      (error: Error) => this.#say(`bus.json can't be written: ${error.message}`),
    );
  }

  /** Applies the migrations that the database does not have yet. Throws what the script says. */
  async migrate(): Promise<void> {
    this.#say("mysql: bringing its tables up to date...");
    const settings = { MYSQL_URL: this.addresses.mysql };
    await this.#script("the migrations", ["dist/shared/store/migrate.js"], settings);
  }

  /**
   * Makes the topics of `local/hubs.json` that Kafka does not have yet. Nothing happens when the app
   * publishes on Event Hubs. Throws what the script says.
   */
  async makeTopics(): Promise<void> {
    if (this.#buses?.present.bus !== "kafka") return;
    this.#say("kafka: making the topics that are missing...");
    const table = join(projectRoot, "local/hubs.json");
    const settings = this.#buses.settings(this.#ports!);
    await this.#script("the topics", ["dist/shared/bus/makeTopics.js", "--table", table], settings);
  }

  /** True when this stack runs the server itself. */
  runs(name: ServerName): boolean {
    return this.#servers.has(name);
  }

  /**
   * Ends a server in an orderly way and resolves when it answers again. Throws when it is not one of ours.
   */
  restart(name: ServerName): Promise<void> {
    return this.#server(name).restart();
  }

  /** Sends a signal to a server, which is then started again. Throws when it is not one of ours. */
  kill(name: ServerName, signal: NodeJS.Signals): void {
    this.#server(name).kill(signal);
  }

  /** Stops every server, the callers before the called. Resolves when all are gone. The data stays. */
  close(): Promise<void> {
    this.#closed ??= this.#stopAll();
    return this.#closed;
  }

  /** Kills every process at once. The data is as after a power cut. */
  killAll(): void {
    for (const server of this.#servers.values()) server.killForGood();
  }

  async #stopAll(): Promise<void> {
    this.#complete = false;
    this.#stopping.abort();
    const stop = (...names: ServerName[]) =>
      Promise.all(names.map((name) => this.#servers.get(name)?.stop()));
    await stop("functionsHost", "page");
    await stop("webPubSub");
    await stop("eventHubs", "kafka");
    await stop("mysql", "redis", "storage");
    this.#folder.release();
  }

  async #startMySql(): Promise<void> {
    if (this.#env["MYSQL_URL"]) await reachable("MYSQL_URL", () => pingMySql(this.addresses.mysql));
    else {
      const [data, log] = [this.#folder.file("mysql"), this.#folder.log("mysql")];
      const { mysql } = this.#ports!;
      await this.#run(await mySqlSpec(this.#mySql!, data, mysql, log, this.#say, this.#stopping.signal));
    }
    this.#unlessStopped();
    await this.migrate();
  }

  async #startKafka(buses: StackBuses, program: KafkaProgram | undefined): Promise<void> {
    if (!buses.uses("kafka")) return;
    if (program) {
      const [data, log] = [this.#folder.file("kafka"), this.#folder.log("kafka")];
      const { kafka } = this.#ports!;
      await this.#run(await kafkaSpec(program, data, kafka, log, this.#say, this.#stopping.signal));
    } else await buses.reachBrokers(this.#env);
    this.#unlessStopped();
    await this.makeTopics();
  }

  #script(what: string, script: readonly [string, ...string[]], settings: Settings): Promise<void> {
    const env = { ...this.#env, ...settings };
    return runScript(this.#app, { what, script, env, signal: this.#stopping.signal });
  }

  async #run(spec: ChildSpec): Promise<void> {
    this.#unlessStopped();
    this.#say(`${spec.name}: starting...`);
    const watch = {
      say: this.#say,
      onRunning: () => this.#writeDown(),
      onGivenUp: (reason: string) => void this.#giveUp(reason),
    };
    const server = new Supervised(spec, watch, !this.#options.keepsTrying);
    this.#servers.set(spec.name, server);
    await server.start();
    this.#unlessStopped();
  }

  #appSettings(): Record<string, string> {
    const { mysql, redis, webPubSubConnection, storage, auth } = this.addresses;
    return {
      ...this.#options.env,
      ...auth,
      MYSQL_URL: mysql,
      REDIS_URL: redis,
      ...this.#buses!.settings(this.#ports!),
      WEB_PUBSUB_CONNECTION: webPubSubConnection,
      AzureWebJobsStorage: storage,
    };
  }

  #server(name: ServerName): Supervised {
    const server = this.#servers.get(name);
    if (!server) throw new Error(`${name} is not run by this stack`);
    return server;
  }

  /**
   * Writes the addresses for other programs, and the pids for a later start should this process be killed.
   */
  #writeDown(): void {
    if (this.#closed) return;
    this.#folder.writeChildren([...this.#servers.values()].flatMap((server) => server.pids));
    if (this.#complete) this.#folder.write("stack.json", this.addresses);
  }

  async #giveUp(reason: string): Promise<void> {
    this.#say(`${reason}: stopping. See the logs in ${this.#folder.file("logs")}`);
    await this.close();
    this.#options.onGivenUp?.(reason);
  }

  #unlessStopped(): void {
    if (this.#closed) throw new Error("stopped while starting");
  }

  readonly #say = (line: string): void => {
    if (!this.#options.quiet) console.error(line);
  };
}
