import type { Config, HubConfig } from "./config.js";
import type { Connection } from "./connection.js";
import { EventRoutes } from "./events.js";

/** The receivers of a send or close: all but the excluded ones and those that a filter does not pick. */
export interface Selection {
  readonly excluded: ReadonlySet<string>;
  readonly filter: ((connection: Connection) => boolean) | undefined;
}

const NOBODY: ReadonlySet<Connection> = new Set();

/** The open connections of one hub, by id, user and group. An empty group or user does not exist. */
export class Hub {
  /** In lower case, as events and URLs have it. */
  readonly name: string;
  readonly config: HubConfig;
  readonly routes: EventRoutes;
  readonly connections = new Map<string, Connection>();
  /** The connections whose `disconnected` is still to come: the open ones and some that are gone. */
  readonly unfinished = new Set<Connection>();
  readonly #groups = new Map<string, Set<Connection>>();
  readonly #users = new Map<string, Set<Connection>>();
  readonly #keepAlive: NodeJS.Timeout;

  constructor(name: string, config: Config["hubs"][string]) {
    this.name = name.toLowerCase();
    this.config = config;
    this.routes = new EventRoutes(this.name, config);
    this.#keepAlive = setInterval(() => {
      for (const connection of this.connections.values()) connection.beat();
    }, config.webSocketKeepAliveIntervalInSeconds * 1000);
  }

  add(connection: Connection): void {
    this.connections.set(connection.id, connection);
    if (connection.userId !== undefined) addTo(this.#users, connection.userId, connection);
    this.unfinished.add(connection);
    void connection.finished.then(() => this.unfinished.delete(connection));
  }

  remove(connection: Connection): void {
    this.connections.delete(connection.id);
    if (connection.userId !== undefined) removeFrom(this.#users, connection.userId, connection);
    this.leaveAll(connection);
  }

  join(connection: Connection, group: string): void {
    connection.groups.add(group);
    addTo(this.#groups, group, connection);
  }

  leave(connection: Connection, group: string): void {
    connection.groups.delete(group);
    removeFrom(this.#groups, group, connection);
  }

  leaveAll(connection: Connection): void {
    for (const group of connection.groups) this.leave(connection, group);
  }

  group(name: string): ReadonlySet<Connection> {
    return this.#groups.get(name) ?? NOBODY;
  }

  user(id: string): ReadonlySet<Connection> {
    return this.#users.get(id) ?? NOBODY;
  }

  /** Ends the keep-alive. The server closes the connections. */
  stop(): void {
    clearInterval(this.#keepAlive);
  }
}

/** Writes one encoded frame to each chosen connection. */
export function sendTo(targets: Iterable<Connection>, frame: Buffer, { excluded, filter }: Selection): void {
  const chooses = excluded.size > 0 || filter !== undefined;
  for (const connection of targets) {
    if (chooses && (excluded.has(connection.id) || filter?.(connection) === false)) continue;
    connection.send(frame);
  }
}

function addTo(index: Map<string, Set<Connection>>, key: string, connection: Connection): void {
  const members = index.get(key);
  if (members) members.add(connection);
  else index.set(key, new Set([connection]));
}

function removeFrom(index: Map<string, Set<Connection>>, key: string, connection: Connection): void {
  const members = index.get(key);
  if (members?.delete(connection) && members.size === 0) index.delete(key);
}
