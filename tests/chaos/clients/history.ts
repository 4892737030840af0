import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";

/** A message as a client got it, by a MESSAGE frame or a page of the history. */
export interface Seen {
  readonly room: number;
  readonly seq: number;
  readonly messageId: number;
  readonly sender: number;
  /** The `clientMessageId` as JSON, so that "5" and 5 stay two; `null` for none. */
  readonly id: string;
  readonly type: string;
  /** Of type and content (`hashOf`). */
  readonly hash: string;
  readonly unread: number;
}

/** A row of the list of rooms. */
export interface Listed {
  readonly room: number;
  readonly unread: number;
  readonly members: number;
  /** The seq of its last message; 0 where there is none. */
  readonly last: number;
}

/** What is asked by HTTP. */
export type Asked = "come" | "create" | "open" | "invite" | "kick" | "leave" | "list" | "history" | "read";

/** What happens to one client. */
export type Event =
  | { readonly kind: "connected" | "closed"; readonly connection: number }
  /** A room that this run made, with the members it began with. */
  | { readonly kind: "room"; readonly room: number; readonly group: boolean; readonly members: number[] }
  /** A membership begins to change, by as many calls as it takes; and the call that said that it has. */
  | {
      readonly kind: "changing";
      readonly change: number;
      readonly room: number;
      readonly target: number;
      readonly to: "in" | "out";
    }
  | { readonly kind: "changed"; readonly change: number }
  | {
      readonly kind: "send";
      readonly connection: number;
      readonly room: number;
      readonly id: string;
      readonly hash: string;
    }
  | { readonly kind: "accepted"; readonly connection: number; readonly room: number; readonly id: string }
  | { readonly kind: "refused"; readonly room: number; readonly id: string; readonly code: string }
  | {
      readonly kind: "subscribe";
      readonly connection: number;
      readonly room: number;
      readonly lastSeq: number | null;
      readonly guest: boolean;
    }
  | {
      readonly kind: "subscribed";
      readonly connection: number;
      readonly room: number;
      readonly guest: boolean;
    }
  | { readonly kind: "notSubscribed"; readonly room: number; readonly code: string }
  | { readonly kind: "error"; readonly code: string; readonly text: string }
  | ({ readonly kind: "message"; readonly connection: number; readonly gap: boolean } & Seen)
  /** A position that moved, as the room's subscribers hear. */
  | {
      readonly kind: "moved";
      readonly room: number;
      readonly reader: number;
      readonly from: number;
      readonly to: number;
    }
  | { readonly kind: "readTry"; readonly read: number; readonly room: number; readonly seq: number }
  | { readonly kind: "readAccepted"; readonly read: number }
  | { readonly kind: "hint"; readonly type: string; readonly room: number }
  | {
      readonly kind: "call";
      readonly call: number;
      readonly asked: Asked;
      readonly room: number;
      readonly after: number;
      readonly key: string | null;
      readonly final: boolean;
    }
  | {
      readonly kind: "answer";
      readonly call: number /** 0: none came. */;
      readonly status: number;
      readonly rooms?: Listed[];
      readonly messages?: Seen[];
    }
  /** Nothing is going to be disturbed in this run. */
  | { readonly kind: "calm" }
  /** No client acts any more, and all have what they wait for; or what was still missing when waiting ended. */
  | { readonly kind: "quiet"; readonly missing: string[] };

/** A line of a history. `at` is in milliseconds, of one clock for all clients, which nothing sets. */
export type Line = Event & { readonly at: number; readonly client: string; readonly user: number };

/** What tells two contents apart. */
export const hashOf = (type: string, content: string): string =>
  createHash("sha256").update(`${type}\n${content}`).digest("hex").slice(0, 24);

/** The history of one client: a file of JSON lines, each written before the client goes on. */
export class History {
  #isClosed = false;
  readonly #file: number;

  constructor(
    folder: string,
    readonly client: string,
    readonly user: number,
    private readonly count: (event: Event) => void,
  ) {
    this.#file = openSync(join(folder, `${client}.jsonl`), "a");
  }

  note(event: Event): number {
    const at = performance.now();
    const line: Line = { at, client: this.client, user: this.user, ...event };
    // What a client that was ended still tries is no part of the run.
    if (this.#isClosed) return at;
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
    this.count(event);
    return at;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#file);
  }
}
