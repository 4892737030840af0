import { setTimeout as sleep } from "node:timers/promises";
import { type MessageJson, seenOf } from "./hear.js";
import type { Asked, History, Listed, Seen } from "./history.js";
import type { Target } from "./target.js";

const ANSWERED_MS = 20_000;
const REPEATED_MS = 500;
const PAGE = 100;

interface RoomJson {
  readonly roomId: number;
  readonly unreadCount: number;
  readonly memberCount: number;
  readonly lastMessage: { readonly seq: number } | null;
}

interface AnswerJson {
  readonly roomId?: number;
  readonly rooms?: readonly RoomJson[];
  readonly cursor?: string | null;
  readonly messages?: readonly MessageJson[];
}

interface Answer {
  /** 0: none came. */
  readonly status: number;
  readonly body: AnswerJson;
}

/** What a call is noted as. */
interface Note {
  readonly asked: Asked;
  readonly room?: number;
  readonly after?: number;
  readonly key?: string;
  readonly final?: boolean;
}

let calls = 0;

/** The HTTP calls of one user, noted in a history. */
export class Calls {
  #underWay = 0;

  constructor(
    private readonly target: Target,
    private readonly history: History,
    private readonly isOver: () => boolean = () => false,
  ) {}

  /** How many calls wait for an answer. */
  get underWay(): number {
    return this.#underWay;
  }

  /** One call, by `METHOD PATH`. Never throws: where no answer came its status is 0. */
  async once(what: string, note: Note, body?: object): Promise<Answer> {
    const call = ++calls;
    const { asked, room = 0, after = 0, key = null, final = false } = note;
    this.history.note({ kind: "call", call, asked, room, after, key, final });
    this.#underWay += 1;
    const answer = await this.#fetch(what, key, body).catch((): Answer => ({ status: 0, body: {} }));
    this.#underWay -= 1;
    const rooms = answer.body.rooms?.map(listedOf);
    const messages = answer.body.messages?.map(seenOf);
    this.history.note({
      kind: "answer",
      call,
      status: answer.status,
      ...(rooms && { rooms }),
      ...(messages && { messages }),
    });
    return answer;
  }

  /** The same call until its answer is one that a repeat would not change, or the run is over. */
  async untilClear(what: string, note: Note, body?: object): Promise<Answer> {
    for (;;) {
      const answer = await this.once(what, note, body);
      if (isClear(answer.status) || this.isOver()) return answer;
      await sleep(REPEATED_MS);
    }
  }

  /** All pages of the user's list. */
  async list(final = false): Promise<Listed[]> {
    const listed: Listed[] = [];
    for (let cursor = ""; ; ) {
      const page = await this.untilClear(`GET /rooms?limit=100${cursor}`, { asked: "list", final });
      listed.push(...(page.body.rooms ?? []).map(listedOf));
      if (!page.body.cursor) return listed;
      cursor = `&cursor=${encodeURIComponent(page.body.cursor)}`;
    }
  }

  /** A room's messages after a seq, oldest first, up to its end. */
  async messagesAfter(room: number, from: number, final = false): Promise<Seen[]> {
    const all: Seen[] = [];
    for (let after = from; ; after = all.at(-1)?.seq ?? after) {
      const path = `GET /rooms/${room}/messages?after=${after}&limit=${PAGE}`;
      const page = await this.untilClear(path, { asked: "history", room, after, final });
      const messages = (page.body.messages ?? []).map(seenOf);
      all.push(...messages);
      if (messages.length < PAGE) return all;
    }
  }

  async #fetch(what: string, key: string | null, body?: object): Promise<Answer> {
    const [method = "GET", path = ""] = what.split(" ");
    const token = await this.target.token(String(this.history.user));
    const response = await fetch(`${this.target.callsUrl}/api/v1/chat${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(key !== null && { "idempotency-key": key }) },
      signal: AbortSignal.timeout(ANSWERED_MS),
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? {} : JSON.parse(text) };
  }
}

/** No answer, too many calls, and a server's own failure may be otherwise the next time. */
const isClear = (status: number): boolean => status >= 200 && status < 500 && status !== 429;

const listedOf = ({ roomId, unreadCount, memberCount, lastMessage }: RoomJson): Listed => ({
  room: roomId,
  unread: unreadCount,
  members: memberCount,
  last: lastMessage?.seq ?? 0,
});
