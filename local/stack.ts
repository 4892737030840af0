import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePorts, LOOPBACK, portFromEnvironment, requireFreePorts } from "./ports.js";
import { azuriteSpec, storageConnection } from "./services/azurite.js";
import type { ChildSpec } from "./services/child.js";
import { mySqlSpec, mySqlUrl, pingMySql } from "./services/mysql.js";
import { findServer, type Program } from "./services/mysqlProgram.js";
import { pingRedis, redisSpec } from "./services/redis.js";
import { type AuthSettings, readAuthSettings } from "./settings.js";
import { StackFolder } from "./stackFolder.js";
import {
  DEFAULT_PORTS,
  eventHubsConnection,
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

const MIGRATION_TIMEOUT_MS = 300_000;
const NAMES = Object.keys(DEFAULT_PORTS) as ServerName[];

/** The content of `stack.json` in the data folder while the stack runs. */
export interface Addresses {
  readonly page: string;
  readonly api: string;
  readonly webPubSub: string;
  readonly webPubSubConnection: string;
  readonly eventHubs: string;
  readonly mysql: string;
  readonly redis: string;
  readonly storage: string;
  /** The settings that tokens for this stack are made with. */
  readonly auth: AuthSettings;
  /** The pids of the servers themselves, without those that `MYSQL_URL` and `REDIS_URL` replace. */
  readonly pids: Readonly<Partial<Record<ServerName | "stack", number>>>;
}

export interface StackOptions {
  /** The folder of all data and logs of this stack. One stack at a time uses it. */
  readonly data: string;
  /** `fixed` takes the usual ports, or those of the environment. `auto` takes free ones. */
  readonly ports: "auto" | "fixed";
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
      eventHubs: eventHubsConnection(ports.eventHubs),
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
    await this.#folder.clearLeftovers();
    if (!this.#env["MYSQL_URL"]) this.#mySql = await findServer(this.#env);
    this.#ports = await choosePorts(this.#options.ports, this.#env);
    const { mysql, redis, storage, eventHubs, webPubSub, functionsHost, page } = this.#ports;
    const folder = this.#folder;
    // Made before the other servers start, which takes longer: it throws when there is no page to serve.
    const env = { ...this.addresses.auth, PAGE_IMAGE_HOSTS: this.#env["PAGE_IMAGE_HOSTS"] ?? "" };
    const pageServer = pageSpec(folder, page, this.addresses, env);
    const say = (line: string) => this.#say(line);
    const stopping = this.#stopping.signal;
    await inParallel([
      async () => {
        if (this.#env["MYSQL_URL"]) await reachable("MYSQL_URL", () => pingMySql(this.addresses.mysql));
        else {
          const [data, log] = [folder.file("mysql"), folder.log("mysql")];
          await this.#run(await mySqlSpec(this.#mySql!, data, mysql, log, say, stopping));
        }
        this.#unlessStopped();
        await this.migrate();
      },
      async () => {
        if (this.#env["REDIS_URL"]) await reachable("REDIS_URL", () => pingUrl(this.addresses.redis));
        else await this.#run(await redisSpec(folder.file("redis"), redis, folder.log("redis")));
      },
      () => this.#run(azuriteSpec(folder.file("storage"), storage, folder.log("storage"))),
      () => this.#run(eventHubsSpec(folder, eventHubs)),
    ]);
    await this.#run(webPubSubSpec(folder, webPubSub, functionsHost));
    await this.#run(functionsHostSpec(folder, functionsHost, page, this.#appSettings(), this.#app));
    await this.#run(pageServer);
    this.#complete = true;
    this.#writeDown();
  }

  /** Applies the migrations that the database does not have yet. Throws what the script says. */
  async migrate(): Promise<void> {
    this.#say("mysql: bringing its tables up to date...");
    const { folder, node = process.execPath } = this.#app;
    try {
      await promisify(execFile)(node, [join(folder, "dist/shared/store/migrate.js")], {
        env: { ...this.#env, MYSQL_URL: this.addresses.mysql },
        timeout: MIGRATION_TIMEOUT_MS,
        signal: this.#stopping.signal,
      });
    } catch (cause) {
      const { stderr, message } = cause as Error & { stderr?: string };
      throw new Error(`the migrations failed:\n${(stderr || message).trim()}`, { cause });
    }
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
    await stop("eventHubs");
    await stop("mysql", "redis", "storage");
    this.#folder.release();
  }

  async #run(spec: ChildSpec): Promise<void> {
    this.#unlessStopped();
    this.#say(`${spec.name}: starting...`);
    const watch = {
      say: (line: string) => this.#say(line),
      onRunning: () => this.#writeDown(),
      onGivenUp: (reason: string) => void this.#giveUp(reason),
    };
    const server = new Supervised(spec, watch, !this.#options.keepsTrying);
    this.#servers.set(spec.name, server);
    await server.start();
    this.#unlessStopped();
  }

  #appSettings(): Record<string, string> {
    const { mysql, redis, eventHubs, webPubSubConnection, storage, auth } = this.addresses;
    return {
      ...this.#options.env,
      ...auth,
      MYSQL_URL: mysql,
      REDIS_URL: redis,
      EVENT_HUBS_CONNECTION: eventHubs,
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

  #say(line: string): void {
    if (!this.#options.quiet) console.error(line);
  }
}

async function choosePorts(mode: StackOptions["ports"], env: NodeJS.ProcessEnv): Promise<Ports> {
  const free = mode === "auto" ? await freePorts(NAMES.length) : [];
  const wishes = NAMES.map((name, index) => {
    const wish = DEFAULT_PORTS[name];
    return { ...wish, name, port: free[index] ?? portFromEnvironment(env, wish.variable, wish.port) };
  });
  const replaced = { mysql: env["MYSQL_URL"], redis: env["REDIS_URL"] } as Partial<
    Record<ServerName, string>
  >;
  if (mode === "fixed") await requireFreePorts(wishes.filter(({ name }) => !replaced[name]));
  return Object.fromEntries(wishes.map(({ name, port }) => [name, port])) as Ports;
}

/**
 * Runs all steps and waits for each, even when one fails, so that nothing begins to run after the failure was
 * handled.
 */
async function inParallel(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const results = await Promise.allSettled(steps.map((step) => step()));
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

async function reachable(variable: string, ping: () => Promise<void>): Promise<void> {
  try {
    await ping();
  } catch (cause) {
    const { message, code } = cause as NodeJS.ErrnoException;
    throw new Error(
      `the server in ${variable} does not answer (${message || code}): start it, or unset ${variable} to have one started`,
      { cause },
    );
  }
}

/** Pings the server, or the first node of a cluster. */
function pingUrl(urls: string): Promise<void> {
  const { hostname, port, protocol } = new URL(urls.split(",")[0]!);
  // With TLS there is no answer to a plain PING. The functions will tell whether it is there.
  return protocol === "rediss:" ? Promise.resolve() : pingRedis(hostname, Number(port || 6379));
}
