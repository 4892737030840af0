import type { RuleName } from "../checker/rules.js";

/** What it takes for a planted fault to show itself. */
export type Scenario =
  /** The steady load, with nothing disturbed and the world's option `calm`. */
  | "calm"
  /** All client sockets are cut every few seconds. */
  | "clients cut"
  /** The bus is killed under load. */
  | "bus killed"
  /** The functions host is killed under load. */
  | "functions host killed";

export interface Planted {
  /** Names the file `<name>.patch` beside this one: one line of the product, changed. */
  readonly name: string;
  /** What breaks by it. */
  readonly breaks: string;
  /** The rule that has to find it; others may, too. */
  readonly rule: RuleName;
  readonly scenario: Scenario;
}

const calm = (name: string, rule: RuleName, breaks: string): Planted => ({
  name,
  rule,
  breaks,
  scenario: "calm",
});

/** Faults that the checker has to find, each planted alone. */
export const PLANTED: readonly Planted[] = [
  {
    name: "receiptBeforePublish",
    rule: "accepted",
    breaks: "the RECEIPT comes before the bus has the message",
    scenario: "bus killed",
  },
  {
    name: "repeatsStored",
    rule: "once",
    breaks: "a message that is sent again is stored again",
    scenario: "clients cut",
  },
  {
    name: "wrongPartitionKey",
    rule: "shown",
    breaks: "messages are published under their sender, so a room has several partitions",
    scenario: "functions host killed",
  },
  calm("lastOfBatchLost", "accepted", "the last event of a batch is not stored"),
  calm("otherSender", "sent", "a message is stored as another user's"),
  calm("sendersOrderTurned", "senderOrder", "the messages of a batch are numbered from its end"),
  calm("seqSkips", "seq", "a number is left out before each announcement"),
  calm("systemMessagesCount", "seq", "a room's row forgets how many announcements it has"),
  calm("removedStayMembers", "members", "a removal leaves the membership"),
  calm("memberCountStays", "members", "a removal leaves the number of members"),
  calm("removalNotAnnounced", "members", "a removal is not announced"),
  calm("removedKeepReceiving", "strangers", "the sessions of a removed user stay in the room's groups"),
  calm("historyFromBefore", "history", "history and replay show what was stored before the reader joined"),
  calm("replayBeginsLate", "shown", "a replay begins one message after last-seq"),
  calm("batchShownBackwards", "shown", "the messages of a batch are broadcast from its end"),
  calm("lastNotShown", "shown", "the last message of a batch is not broadcast"),
  calm("lastShownTwice", "repeats", "the position of what was broadcast stays one behind"),
  calm("contentCut", "content", "clients get the beginning of a long message"),
  calm("listCountsOneMore", "unreadRooms", "a list has one unread message too many"),
  calm("senderCounts", "unreadMessages", "a message counts its sender among those who have not read it"),
  calm("readersCount", "lastCounts", "who has read exactly up to a message counts as not having read it"),
  calm("readsLost", "positions", "the reads of some users are not stored"),
  calm("readsGoTooFar", "positions", "a read leads one message too far"),
  calm("changesStayInOutbox", "leftovers", "changes of members are done and stay in the outbox"),
  calm("readsStayInOutbox", "leftovers", "reads are broadcast and stay in the outbox"),
  calm("answersNotKept", "leftovers", "the answers to calls with an Idempotency-Key are not kept"),
  calm("idsStay", "leftovers", "subscription ids stay when nobody has them"),
];
