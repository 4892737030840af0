import { mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Acts, type Rates, STEADY } from "./acts.js";
import { gather, type Person } from "./cast.js";
import { lookAtAll, missingAtClients, untilNothing, untilQuiet } from "./finish.js";
import type { Event } from "./history.js";
import { Random } from "./random.js";
import { makeRooms, type Room } from "./rooms.js";
import { lookAtStored } from "./stored.js";
import type { Target } from "./target.js";

export interface World {
  /** How many lines of each kind the histories have. */
  counts(): Record<string, number>;
  /** A gate: while it is held no client sends. Resolves once nothing is on its way to the bus. */
  hold(): Promise<() => void>;
  /**
   * Ends the acts, lets all clients come back and see the rest, and takes the last reads. Never throws for what
   * was lost: the checker finds that.
   */
  finish(): Promise<void>;
  /** Cuts all client sockets at once. */
  kill(): void;
}

export interface WorldOptions {
  readonly target: Target;
  readonly seed: number;
  /** Gets the histories, one file a client. */
  readonly folder: string;
  readonly log: (line: string) => void;
  /** `STEADY` in what is not said. */
  readonly rates?: Partial<Rates>;
  /** Nothing will be disturbed: the checker then permits nothing that only a failure excuses. */
  readonly calm?: boolean;
  /** How long clients may take at the end until they have everything; two minutes if not said. */
  readonly patienceMs?: number;
}

const USERS = 12;
const TICK_MS = 25;
const READY_MS = 60_000;
const HELD_MS = 60_000;
const PATIENCE_MS = 120_000;
const CLEANED_UP_MS = 10_000;

/** Connects twelve users with eighteen devices, makes their rooms, and has them act. Throws where it can't begin. */
export async function startWorld(options: WorldOptions): Promise<World> {
  mkdirSync(options.folder, { recursive: true });
  const world = new RunningWorld(options);
  await world.begin().catch((error: unknown) => world.end().then(() => Promise.reject(error)));
  return world;
}

class RunningWorld implements World {
  readonly #counts: Record<string, number> = {};
  readonly #random: Random;
  readonly #people: readonly Person[];
  #rooms: readonly Room[] = [];
  #timer: NodeJS.Timeout | undefined;
  #holds = 0;
  #isOver = false;

  constructor(private readonly options: WorldOptions) {
    const { target, seed, folder } = options;
    this.#random = new Random(seed);
    const first = 1_000_000 + (seed % 1_000_000) * 100;
    this.#people = gather(
      Array.from({ length: USERS }, (_, index) => first + index),
      {
        target,
        folder,
        // What devices draw depends on when they lose connections: it must not change what is acted.
        random: new Random(seed + 1),
        count: (event) => this.#count(event),
        isOver: () => this.#isOver,
      },
    );
  }

  async begin(): Promise<void> {
    if (this.options.calm) this.#people[0]?.history.note({ kind: "calm" });
    this.#rooms = await makeRooms(this.#people, this.#random);
    const missing = await untilNothing(() => this.#missing(), READY_MS);
    if (missing.length > 0) throw new Error(`the clients could not begin: ${missing.join("; ")}`);
    const acts = new Acts(this.#people, this.#rooms, this.#random, { ...STEADY, ...this.options.rates });
    let last = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      if (this.#holds === 0) acts.pass((now - last) / 1_000);
      last = now;
    }, TICK_MS);
  }

  counts(): Record<string, number> {
    return { ...this.#counts };
  }

  async hold(): Promise<() => void> {
    this.#holds += 1;
    const { patienceMs = PATIENCE_MS } = this.options;
    const missing = await untilNothing(() => this.#onTheWay(), Math.min(HELD_MS, patienceMs));
    if (missing.length > 0) this.options.log(`held, though ${missing.join("; ")}`);
    let isHeld = true;
    return () => {
      if (isHeld) this.#holds -= 1;
      isHeld = false;
    };
  }

  async finish(): Promise<void> {
    clearInterval(this.#timer);
    const { log, patienceMs = PATIENCE_MS, target } = this.options;
    const missing = await untilQuiet(this.#people, this.#rooms, target.database, patienceMs);
    this.#people[0]?.history.note({ kind: "quiet", missing: [...missing] });
    if (missing.length > 0) log(`waiting ended, though ${missing.slice(0, 10).join("; ")}`);
    const end = sleep(patienceMs, undefined, { ref: false }).then(() => {
      this.#isOver = true;
    });
    await Promise.race([lookAtAll(this.#people), end]);
    await this.end();
    await sleep(CLEANED_UP_MS);
    for (const { history } of this.#people) history.close();
  }

  /** Ends all clients. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#people.flatMap(({ clients }) => clients.map((client) => client.end())));
  }

  kill(): void {
    for (const { clients } of this.#people) for (const client of clients) client.cut();
  }

  #missing(): Promise<string[]> {
    return missingAtClients(this.#people, this.#rooms, this.options.target.database);
  }

  /** What may still come to the bus, though no client acts any more. */
  async #onTheWay(): Promise<string[]> {
    const stored = await lookAtStored(this.options.target.database);
    const clients = this.#people.flatMap((person) => person.clients);
    return [
      ...clients
        .filter(({ outstanding }) => outstanding > 0)
        .map(({ history, outstanding }) => `${history.client} waits for ${outstanding} answers`),
      ...this.#people.filter(({ calls }) => calls.underWay > 0).map(({ user }) => `user ${user} calls`),
      ...this.#rooms.filter(({ isChanging }) => isChanging).map(({ room }) => `room ${room} changes`),
      ...(stored === undefined ? ["the database does not answer"] : []),
      ...(stored?.outbox ? [`${stored.outbox} rows wait in outboxes`] : []),
    ];
  }

  #count({ kind }: Event): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }
}
