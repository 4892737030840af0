import type { Line } from "../../clients/history.js";
import type { Proofs } from "../proofs.js";
import type { Rule } from "../rule.js";
import type { LineOf, Run } from "../run.js";
import type { StoredMessage } from "../stored.js";

/**
 * Each device sees a room's messages in the order of `seq` and without a hole: on a connection, over its
 * reconnects by `last-seq`, and up to the end. A message may come once more. A replay that says `gap` may begin
 * later; so may a subscription after a removal, and the first one without `last-seq`, which may see nothing where
 * nothing is sent after it.
 */
export const shown: Rule = (run, proofs) => {
  const streams = new Map<string, Stream>();
  const found: string[] = [];
  for (const line of run.lines) {
    const stream = streamOf(line, streams);
    if (stream) found.push(...stream.take(line, run, proofs));
  }
  return [...found, ...[...streams.values()].flatMap((stream) => stream.end(run, proofs))];
};

function streamOf(line: Line, streams: Map<string, Stream>): Stream | undefined {
  if (line.kind !== "message" && line.kind !== "subscribe" && line.kind !== "subscribed") return undefined;
  if (line.kind !== "message" && line.guest) return undefined;
  const key = `${line.client} ${line.room}`;
  const stream = streams.get(key) ?? new Stream(line.client, line.user, line.room);
  streams.set(key, stream);
  return stream;
}

/** What one device sees of one room. */
class Stream {
  #last: number | undefined;
  #lastAt = 0;
  #lastSeq: number | null = null;
  #isBegun = false;
  /** When the first subscription without `last-seq` was confirmed. */
  #openSince = Number.POSITIVE_INFINITY;

  constructor(
    private readonly client: string,
    private readonly user: number,
    private readonly room: number,
  ) {}

  take(line: Line, run: Run, proofs: Proofs): string[] {
    if (line.kind === "subscribe") [this.#lastSeq, this.#isBegun] = [line.lastSeq, true];
    if (line.kind === "subscribed") this.#openSince = Math.min(this.#openSince, line.at);
    return line.kind === "message" ? this.#see(line, run, proofs) : [];
  }

  #see(line: LineOf<"message">, run: Run, proofs: Proofs): string[] {
    const last = this.#last;
    if (last !== undefined && line.seq <= last) return [];
    const mayJump = this.#isBegun && (line.gap || this.#hasJoined(line, proofs));
    [this.#last, this.#lastAt, this.#isBegun] = [line.seq, line.at, false];
    if (line.seq === (last ?? this.#lastSeq ?? Number.NaN) + 1) return [];
    if (mayJump) return [];
    if (last === undefined && this.#lastSeq === null) return this.#begin(line, run, proofs);
    return [this.#text(last ?? 0, line.seq)];
  }

  #begin({ seq }: LineOf<"message">, run: Run, proofs: Proofs): string[] {
    const missed = this.#sure(run, proofs).find((message) => message.seq < seq);
    return missed ? [this.#text(missed.seq - 1, seq)] : [];
  }

  /** What has to come without `last-seq`: that which was sent after the RECEIPT of the SUBSCRIBE, by `seq`. */
  #sure(run: Run, proofs: Proofs): readonly StoredMessage[] {
    return this.#stored(run).filter((message) => (proofs.send(message)?.tries[0]?.at ?? 0) > this.#openSince);
  }

  #stored(run: Run): readonly StoredMessage[] {
    return run.stored.messages.filter(({ room }) => room === this.room);
  }

  /**
   * Whether the user was taken into the room since the last new message: then what was stored before is not
   * theirs. The announcements don't tell, as they can be stored long after what they announce.
   */
  #hasJoined(line: LineOf<"message">, proofs: Proofs): boolean {
    const changes = proofs.changesOf(this.room, this.user);
    return changes.some(({ to, start, end }) => to === "in" && start <= line.at && end >= this.#lastAt);
  }

  /** When all was quiet, a member's device had everything that is due to it. */
  end(run: Run, proofs: Proofs): string[] {
    const at = run.quiet?.at ?? Number.POSITIVE_INFINITY;
    if (proofs.membership(this.room, this.user, at, at) !== "in") return [];
    const isOpen = this.#last === undefined && this.#lastSeq === null;
    const due = isOpen ? this.#sure(run, proofs) : this.#stored(run);
    const stored = due.at(-1)?.seq ?? 0;
    if ((this.#last ?? 0) >= stored) return [];
    return [`${this.client} saw room ${this.room} up to seq ${this.#last ?? 0} of ${stored}`];
  }

  #text(after: number, seq: number): string {
    return `${this.client} saw seq ${seq} of room ${this.room} after ${after}: between is a hole`;
  }
}
