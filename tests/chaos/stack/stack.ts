import { join } from "node:path";
import { freePorts, LOOPBACK } from "../../../local/ports.js";
import type { ChildSpec } from "../../../local/services/child.js";
import { StackFolder } from "../../../local/stackFolder.js";
import { PROJECT_APP, type StackApp } from "../../../local/stackServers.js";
import type { Random } from "../random.js";
import { unlessAborted } from "../wait.js";
import { createAppUser } from "./database.js";
import { SmallDisk } from "./disk.js";
import { Front } from "./front.js";
import { Link } from "./link.js";
import { type BusName, HOSTS, LINKS, type LinkName, PARTS, type PartName } from "./names.js";
import { Part } from "./part.js";
import {
  busPart,
  hostPart,
  makeTopics,
  migrate,
  mySqlPart,
  type Ports,
  redisPart,
  socketsPart,
  storagePart,
} from "./specs.js";

export interface StackOptions {
  /** The folder of all data and logs. */
  readonly folder: string;
  readonly bus: BusName;
  readonly random: Random;
  /** The parts whose disks are to be filled. */
  readonly smallDisks: readonly string[];
  /** What the hosts run, if it is not the project as it was built. */
  readonly app?: StackApp | undefined;
  /** Ends the start, and all that was started. */
  readonly signal?: AbortSignal | undefined;
  readonly say: (line: string) => void;
}

/** The whole system, its parts joined by links that faults may cut. */
export interface Stack {
  readonly folder: string;
  readonly bus: BusName;
  readonly ports: Ports;
  readonly parts: Readonly<Record<PartName, Part>>;
  readonly links: Readonly<Record<LinkName, Link>>;
  readonly front: Front;
  /** The small disks of those parts that have one, where this user may mount. */
  readonly disks: ReadonlyMap<string, SmallDisk>;
  /** Ends all parts and links. The data stays. */
  close(): Promise<void>;
}

/** Starts all parts and links. When it throws, nothing runs any more. */
export async function startStack({
  folder: path,
  bus,
  random,
  smallDisks,
  app = PROJECT_APP,
  signal,
  say,
}: StackOptions): Promise<Stack> {
  const folder = new StackFolder(path);
  const ports = await choosePorts(bus);
  const disks = mountDisks(path, bus, smallDisks, say);
  const links = recordOf(LINKS, (name) => new Link(ports.links[name], targetOf(name, ports)));
  const parts = new Map<PartName, Part>();
  const run = async (name: PartName, spec: ChildSpec): Promise<void> => {
    signal?.throwIfAborted();
    const part = new Part(spec, random, say);
    parts.set(name, part);
    await unlessAborted(part.up(), signal);
  };
  const front = new Front(
    HOSTS.map((host) => ({ port: ports.links[`front-${host}`], isUp: () => parts.get(host)?.isUp === true })),
  );
  const close = async (): Promise<void> => {
    await Promise.all([...parts.values()].map((part) => part.down("SIGKILL")));
    await Promise.all(Object.values(links).map((link) => link.close()));
    await front.close();
    folder.release();
    for (const disk of disks.values()) disk.turnIntoFolder();
  };
  try {
    await front.open(ports.front);
    await Promise.all(Object.values(links).map((link) => link.open()));
    await startParts(folder, ports, bus, app, run);
  } catch (error) {
    await close();
    throw error;
  }
  const all = recordOf(PARTS, (name) => parts.get(name)!);
  return { folder: path, bus, ports, links, parts: all, front, disks, close };
}

/** What a part's data takes at most, and room for a run of hours. */
const DISK_MB: Readonly<Record<string, number>> = { mysql: 512, bus: 256 };

function mountDisks(
  folder: string,
  bus: BusName,
  parts: readonly string[],
  say: (line: string) => void,
): ReadonlyMap<string, SmallDisk> {
  const disks = new Map<string, SmallDisk>();
  const ofBus = bus === "kafka" ? "kafka" : "eventHubs";
  for (const part of new Set(parts)) {
    try {
      disks.set(part, new SmallDisk(join(folder, part === "bus" ? ofBus : part), DISK_MB[part] ?? 256));
    } catch (error) {
      say(`${part} has no small disk: ${(error as Error).message.trim()}`);
    }
  }
  return disks;
}

async function startParts(
  folder: StackFolder,
  ports: Ports,
  bus: BusName,
  app: StackApp,
  run: (name: PartName, spec: ChildSpec) => Promise<void>,
): Promise<void> {
  const database = async (): Promise<void> => {
    await run("mysql", await mySqlPart(folder, ports));
    await migrate(ports);
    await createAppUser(ports.parts.mysql);
  };
  const events = async (): Promise<void> => {
    await run("bus", await busPart(folder, ports, bus));
    if (bus === "kafka") await makeTopics(ports);
  };
  const others = [
    async () => run("redis", await redisPart(folder, ports)),
    async () => run("storage", storagePart(folder, ports)),
    async () => run("sockets", socketsPart(folder, ports)),
  ];
  await Promise.all([database(), events(), ...others.map((start) => start())]);
  await Promise.all(HOSTS.map(async (host) => run(host, await hostPart(folder, ports, bus, host, app))));
}

async function choosePorts(bus: BusName): Promise<Ports> {
  const free = await freePorts(PARTS.length + LINKS.length + 4);
  const take = (): number => free.pop()!;
  return {
    parts: recordOf(PARTS, take),
    links: recordOf(LINKS, take),
    front: take(),
    kafka: bus === "kafka" ? { host1: take(), host2: take(), controller: take() } : NO_KAFKA,
  };
}

const NO_KAFKA = { host1: 0, host2: 0, controller: 0 };

/** The port that a link leads to. */
function targetOf(name: LinkName, { parts, front, kafka }: Ports): number {
  const [from, to] = name.split("-");
  if (to === "front") return front;
  if (to === "bus" && kafka.host1 !== 0) return from === "host1" ? kafka.host1 : kafka.host2;
  const part = PARTS.find((one) => one === to);
  if (!part) throw new Error(`the link ${name} leads nowhere`);
  return parts[part];
}

function recordOf<K extends string, V>(names: readonly K[], make: (name: K) => V): Record<K, V> {
  return Object.fromEntries(names.map((name) => [name, make(name)])) as Record<K, V>;
}

/** Where clients find the system: by links, all of it. */
export function addressesOf({ ports }: Stack): { readonly socketUrl: string; readonly callsUrl: string } {
  return {
    socketUrl: `ws://${LOOPBACK}:${ports.links["clients-sockets"]}/client/hubs/chat`,
    callsUrl: `http://${LOOPBACK}:${ports.links["clients-front"]}`,
  };
}
