import type { Person } from "./cast.js";
import type { ChatClient } from "./client.js";
import type { Random } from "./random.js";
import { change, type Room } from "./rooms.js";

/** How often a second each act is done, by all clients together. */
export interface Rates {
  readonly sends: number;
  readonly reads: number;
  readonly lists: number;
  readonly histories: number;
  readonly changes: number;
  readonly reconnects: number;
  readonly intrusions: number;
}

export const STEADY: Rates = {
  sends: 37,
  reads: 6,
  lists: 2,
  histories: 1,
  changes: 0.4,
  reconnects: 0.3,
  intrusions: 0.2,
};

const WORDS = ["Hello", "ok", "später", "안녕하세요", "👍🏽", "see you", "a:b\\c", "two\nlines", "…"];
/** So that a bus that is away for long doesn't fill this process with what waits for its RECEIPT. */
const OUTSTANDING = 200;
/** So many calls a user has at once: they are repeated until they are answered. */
const CALLS = 3;

/** Everything that users do, chosen by the seed. */
export class Acts {
  readonly #dueAt = new Map<keyof Rates, number>();
  #messages = 0;

  constructor(
    private readonly people: readonly Person[],
    private readonly rooms: readonly Room[],
    private readonly random: Random,
    private readonly rates: Rates,
  ) {}

  /** Does what has become due in these seconds, but never more than ten of a kind at once. */
  pass(seconds: number): void {
    const acts: Record<keyof Rates, () => void> = {
      sends: () => this.#send(),
      reads: () => this.#read(),
      lists: () => this.#list(),
      histories: () => this.#history(),
      changes: () => this.#change(),
      reconnects: () => this.#client()?.cut(),
      intrusions: () => this.#intrude(),
    };
    for (const kind of Object.keys(acts) as (keyof Rates)[]) {
      let due = Math.min(10, (this.#dueAt.get(kind) ?? 0) + seconds * this.rates[kind]);
      for (; due >= 1; due -= 1) acts[kind]();
      this.#dueAt.set(kind, due);
    }
  }

  #client(): ChatClient | undefined {
    return this.random.pick(this.random.pick(this.people)?.clients ?? []);
  }

  /** A room in which a user of this state is, with that user. */
  #place(state: "in" | "out", only?: "groups"): { room: Room; person: Person } | undefined {
    const room = this.random.pick(this.rooms.filter(({ group }) => group || only === undefined));
    const people = [...(room?.state ?? [])].filter(
      ([, one]) => one === state || (!only && one === "changing"),
    );
    const person = this.random.pick(people)?.[0];
    return room && person && { room, person };
  }

  #send(): void {
    const { room, person } = this.#place("in") ?? {};
    const client = this.random.pick(person?.clients ?? []);
    if (!room || !person || this.#onlyReads(person, room)) return;
    if (client && client.outstanding < OUTSTANDING) this.#say(client, room);
  }

  /** A third of a room's users never writes there: a sender has read the room, which would hide a lost read. */
  #onlyReads(person: Person, room: Room): boolean {
    return (this.people.indexOf(person) + this.rooms.indexOf(room)) % 3 === 0;
  }

  /** Every fourth message has a number as its id. */
  #say(client: ChatClient, { room }: Room): void {
    const number = ++this.#messages;
    const id = number % 4 === 0 ? number : `${client.history.client}-${number}`;
    const words = Array.from({ length: 1 + this.random.below(12) }, () => this.random.pick(WORDS));
    client.say(room, id, `${number} ${words.join(" ")}`);
  }

  #read(): void {
    const { room, person } = this.#place("in") ?? {};
    const client = this.random.pick(person?.clients ?? []);
    if (!room || !person || !client) return;
    if (this.random.chance(0.7)) void client.read(room.room);
    else void readByCall(client, person, room.room);
  }

  #list(): void {
    const person = this.random.pick(this.people);
    if (person && person.calls.underWay < CALLS) void person.calls.list();
  }

  #history(): void {
    const { room, person } = this.#place("in") ?? {};
    if (!room || !person || person.calls.underWay >= CALLS) return;
    const after = this.random.below(100);
    const path = `GET /rooms/${room.room}/messages?after=${after}&limit=50`;
    void person.calls.once(path, { asked: "history", room: room.room, after });
  }

  /** Users go and come in turn, so that the groups stay about as large as they are. */
  #change(): void {
    const to = this.random.chance(0.5) ? "in" : "out";
    const { room, person } = this.#place(to === "in" ? "out" : "in", "groups") ?? {};
    if (!room || !person || room.isChanging || person === room.creator) return;
    void change(room, person, to, this.random.chance(0.4));
  }

  /** What a user tries who is no member: to listen, to write, to look. */
  #intrude(): void {
    const { room, person } = this.#place("out", "groups") ?? {};
    const client = this.random.pick(person?.clients ?? []);
    if (!room || !person || !client || room.isChanging || room.state.get(person) !== "out") return;
    const way = this.random.below(3);
    if (way === 0) void client.intrude(room.room);
    else if (way === 1) this.#say(client, room);
    else {
      const path = `GET /rooms/${room.room}/messages?after=0&limit=20`;
      void person.calls.once(path, { asked: "history", room: room.room, after: 0 });
    }
  }
}

async function readByCall(client: ChatClient, { calls }: Person, room: number): Promise<void> {
  const read = client.readByCall(room);
  if (!read) return;
  const path = `PATCH /rooms/${room}/read?messageId=${read.latest.messageId}`;
  const { status } = await calls.once(path, { asked: "read", room });
  if (status === 202) read.accepted();
}
