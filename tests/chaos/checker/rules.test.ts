import { expect, test } from "vitest";
import type { Line } from "../clients/history.js";
import { judge } from "./check.js";
import { RULES, type RuleName } from "./rules.js";
import {
  accepts,
  asks,
  changes,
  type Draft,
  lists,
  ROOM,
  reads,
  refuses,
  sends,
  shows,
  subscribes,
  tinyRun,
} from "./tinyRun.js";

const judged = (change: (draft: Draft) => void): string[] => {
  const draft = tinyRun();
  change(draft);
  return [...new Set(judge(draft.lines, draft.stored).findings.map(({ rule }) => rule))];
};

/** Takes the one line away for which `is` holds, or puts others in its place. */
function replace(draft: Draft, is: (line: Line) => boolean, ...others: Line[]): void {
  const found = draft.lines.filter(is);
  if (found.length !== 1) throw new Error(`${found.length} lines are meant, instead of one`);
  draft.lines.splice(draft.lines.indexOf(found[0]!), 1, ...others);
}

const isShown = (client: string, seq: number) => (line: Line) =>
  line.kind === "message" && line.client === client && line.seq === seq;

const moved = (to: number): Line => ({
  ...{ at: 33, client: "1-0", user: 1, kind: "moved", room: ROOM, reader: 2, from: 1, to },
});

test("a run without a fault has no findings", () => {
  expect(judged(() => {})).toEqual([]);
});

/** By the rule that must find it: what is wrong, how it comes about, and which other rules see it, too. */
const FAULTS: readonly [RuleName, string, (draft: Draft) => void, RuleName[]?][] = [
  [
    "accepted",
    "a message with a RECEIPT is not stored",
    ({ lines }) => {
      lines.push(sends(46, "1-0", '"x"', "X"), accepts(47, "1-0", '"x"'));
    },
  ],
  [
    "accepted",
    "one is lost though another was stored behind it before its sender was removed",
    ({ lines }) => {
      lines.push(sends(38.5, "3-0", '"x"', "X"), accepts(39, "3-0", '"x"'));
    },
  ],
  [
    "once",
    "a message is stored twice",
    ({ stored }) => {
      stored.messages.push({ ...stored.messages[0]!, seq: 6, messageId: 106, uncounted: 2 });
    },
    ["seq", "senderOrder", "shown", "lastCounts"],
  ],
  [
    "sent",
    "a message is stored that nobody sent",
    ({ stored }) => {
      stored.messages[2] = { ...stored.messages[2]!, id: '"other"' };
    },
    ["accepted", "content"],
  ],
  [
    "sent",
    "a message is stored with another content",
    ({ stored }) => {
      stored.messages[2] = { ...stored.messages[2]!, hash: "Z" };
    },
    ["content"],
  ],
  [
    "refused",
    "a message of one who is no member is stored",
    ({ stored }) => {
      stored.messages.push({ ...stored.messages[2]!, sender: 3, id: '"d"', hash: "D", seq: 6, uncounted: 2 });
    },
    ["seq", "shown", "lastCounts"],
  ],
  [
    "refused",
    "a member's message is refused",
    ({ lines }) => {
      lines.push(sends(24, "2-0", '"r"', "R"), refuses(25, "2-0", '"r"'));
    },
  ],
  [
    "seq",
    "a seq is left out",
    ({ stored }) => {
      stored.messages[4] = { ...stored.messages[4]!, seq: 6 };
    },
    ["content", "shown", "positions"],
  ],
  [
    "seq",
    "a room's row is behind its messages",
    ({ stored }) => {
      stored.rooms[0] = { ...stored.rooms[0]!, lastSeq: 4, lastMessageId: 104, lastUncounted: 1 };
    },
    ["history"],
  ],
  [
    "senderOrder",
    "two messages of one connection change places",
    ({ stored }) => {
      const [two, three] = [stored.messages[2]!, stored.messages[3]!];
      stored.messages[2] = { ...two, id: three.id, hash: three.hash };
      stored.messages[3] = { ...three, id: two.id, hash: two.hash };
    },
    ["content"],
  ],
  ["shown", "a client misses a message", (draft) => replace(draft, isShown("2-0", 3))],
  ["shown", "a client misses the last message", (draft) => replace(draft, isShown("2-0", 5))],
  [
    "shown",
    "a client sees two messages in the wrong order",
    (draft) => {
      replace(draft, isShown("2-0", 3), shows(45.5, "2-0", 3));
    },
  ],
  [
    "shown",
    "a replay by last-seq begins too late",
    (draft) => {
      replace(draft, isShown("2-0", 3));
      draft.lines.push(...subscribes(43.5, "2-0", 2));
    },
  ],
  [
    "shown",
    "a first subscription misses what was sent after its RECEIPT",
    (draft) => {
      replace(draft, isShown("2-0", 1));
    },
  ],
  [
    "shown",
    "a first subscription sees nothing of all that was sent after its RECEIPT",
    ({ lines }) => {
      lines.push(...subscribes(39, "2-1", null));
    },
  ],
  [
    "repeats",
    "a message comes twice though nothing failed",
    ({ lines }) => {
      lines.push({ at: 2, client: "1-calls", user: 1, kind: "calm" }, shows(48, "2-0", 3));
    },
  ],
  [
    "content",
    "a client sees another content",
    (draft) => {
      replace(draft, isShown("2-0", 3), { ...shows(44, "2-0", 3), hash: "Z" } as Line);
    },
  ],
  [
    "content",
    "a client sees a message that is not stored",
    ({ lines }) => {
      lines.push({ ...shows(52.5, "2-0", 5), seq: 6 } as Line);
    },
  ],
  [
    "history",
    "a page has a hole",
    ({ lines }) => {
      const page = reads(65, 2, false);
      lines.push(...page.map((line) => withoutSeq(line, 3)));
    },
  ],
  [
    "history",
    "the last page lacks the end",
    ({ lines }) => {
      lines.splice(0, lines.length, ...lines.map((line) => (line.at > 72 ? withoutSeq(line, 5) : line)));
    },
  ],
  [
    "strangers",
    "one who was removed gets the announcement of it",
    ({ lines }) => {
      lines.push(shows(52, "3-0", 5));
    },
  ],
  [
    "strangers",
    "a newcomer gets what was stored before the invitation",
    ({ lines }) => {
      lines.push(shows(46, "3-0", 1));
    },
  ],
  [
    "strangers",
    "one who is no member can subscribe",
    ({ lines }) => {
      lines.push(...subscribes(56, "3-0", 0, true));
    },
  ],
  [
    "strangers",
    "one who is no member is answered with a page",
    ({ lines }) => {
      lines.push(...asks(56, 3, { asked: "history" }, { status: 200, messages: [] }));
    },
  ],
  [
    "unreadRooms",
    "a list has one unread message too many",
    ({ lines }) => {
      lines.push(...lists(61, 2, 3, false));
    },
  ],
  [
    "unreadRooms",
    "a list has one too few",
    ({ lines }) => {
      lines.push(...lists(61, 2, 1, false));
    },
  ],
  [
    "unreadMessages",
    "a message is shown with a reader too few",
    (draft) => {
      replace(draft, isShown("2-0", 4), { ...shows(45, "2-0", 4), unread: 3 } as Line);
    },
  ],
  [
    "unreadMessages",
    "a message is shown with a reader too many",
    (draft) => {
      replace(draft, isShown("2-0", 4), { ...shows(45, "2-0", 4), unread: 1 } as Line);
    },
  ],
  [
    "unreadMessages",
    "a system message counts",
    (draft) => {
      replace(draft, isShown("2-0", 2), { ...shows(38, "2-0", 2), unread: 1 } as Line);
    },
  ],
  [
    "lastCounts",
    "the last list differs from a recount",
    ({ lines }) => {
      lines.push(...lists(75, 2, 1, true));
    },
    ["unreadRooms"],
  ],
  [
    "positions",
    "an accepted read is lost",
    ({ stored, lines }) => {
      stored.members[1] = { ...stored.members[1]!, readSeq: 0, readMessageId: null };
      lines.splice(0, lines.length, ...lines.filter(({ kind }) => kind !== "moved"));
    },
    ["lastCounts"],
  ],
  [
    "positions",
    "a position lies beyond what was read",
    ({ stored }) => {
      stored.members[1] = { ...stored.members[1]!, readSeq: 3, readMessageId: 103 };
    },
    ["lastCounts"],
  ],
  [
    "positions",
    "a position names another message",
    ({ stored }) => {
      stored.members[1] = { ...stored.members[1]!, readMessageId: 102 };
    },
  ],
  [
    "positions",
    "a move is told that nobody made",
    ({ lines }) => {
      lines.push({ ...moved(3), at: 55 });
    },
    ["unreadRooms", "unreadMessages"],
  ],
  [
    "members",
    "one who was removed is a member",
    ({ stored }) => {
      stored.members.push({ room: ROOM, user: 3, joinedSeq: 1, readSeq: 5, readMessageId: 105 });
      stored.rooms[0] = { ...stored.rooms[0]!, memberCount: 3 };
    },
    ["positions"],
  ],
  [
    "members",
    "a room's number of members is wrong",
    ({ stored }) => {
      stored.rooms[0] = { ...stored.rooms[0]!, memberCount: 3 };
    },
  ],
  [
    "members",
    "a removal is not announced",
    ({ lines }) => {
      lines.push(...changes(55, 3, 3, "in"), ...changes(57, 4, 3, "out"));
    },
    [],
  ],
  [
    "answered",
    "a message is never answered",
    ({ lines }) => {
      lines.push(sends(46, "1-0", '"x"', "X"));
    },
  ],
  [
    "answered",
    "a client did not come back",
    (draft) => {
      replace(draft, ({ kind }) => kind === "quiet", {
        ...{ at: 70, client: "1-calls", user: 1, kind: "quiet", missing: ["2-0 is not connected"] },
      });
    },
  ],
  [
    "leftovers",
    "an announcement waits in its outbox",
    ({ stored }) => {
      stored.outboxes.membership = 1;
    },
  ],
  [
    "leftovers",
    "a read waits in its outbox",
    ({ stored }) => {
      stored.outboxes.reads = 1;
    },
  ],
  [
    "leftovers",
    "an answer was not kept",
    ({ stored }) => {
      stored.keys.set(1, 1);
    },
  ],
  [
    "leftovers",
    "a subscription id is left though nothing failed",
    ({ lines, stored }) => {
      lines.push({ at: 2, client: "1-calls", user: 1, kind: "calm" });
      stored.subscriptionIds.push({ destination: "room-5", id: "sub-1" });
    },
  ],
  [
    "leftovers",
    "subscription ids pile up",
    ({ stored }) => {
      for (let index = 0; index < 13; index += 1)
        stored.subscriptionIds.push({ destination: "room-5", id: `sub-${index}` });
    },
  ],
];

const withoutSeq = (line: Line, seq: number): Line =>
  line.kind === "answer" && line.messages
    ? { ...line, messages: line.messages.filter((message) => message.seq !== seq) }
    : line;

test.each(FAULTS)("the rule %s finds it when %s", (rule, _what, change, others = []) => {
  expect(judged(change).sort()).toEqual([rule, ...others].sort());
});

test("each rule has a fault that it finds", () => {
  expect([...new Set(FAULTS.map(([rule]) => rule))].sort()).toEqual(Object.keys(RULES).sort());
});

/** What the protocol permits. */
const PERMITTED: readonly [string, (draft: Draft) => void][] = [
  [
    "a message is shown once more after a failure",
    ({ lines }) => {
      lines.push(shows(46, "2-0", 3), shows(47, "2-0", 4));
    },
  ],
  [
    "a message is sent again after a lost RECEIPT",
    ({ lines }) => {
      lines.push(sends(24, "1-0", '"a"', "A"), accepts(25, "1-0", '"a"'));
    },
  ],
  [
    "a replay of too many messages says so",
    (draft) => {
      replace(draft, isShown("2-0", 3));
      replace(draft, isShown("2-0", 4), { ...shows(45, "2-0", 4), gap: true } as Line);
      draft.lines.push(...subscribes(44.5, "2-0", 2));
    },
  ],
  [
    "a first subscription without last-seq sees nothing, as nobody sends any more",
    ({ lines }) => {
      lines.push(...subscribes(65, "2-1", null));
    },
  ],
  [
    "a message is refused when it is stored, as its sender was removed after the RECEIPT",
    ({ lines }) => {
      lines.push(sends(46, "3-0", '"x"', "X"), accepts(47, "3-0", '"x"'), refuses(55, "3-0", '"x"'));
    },
  ],
  [
    "one who is being removed gets a RECEIPT for what is not stored",
    ({ lines }) => {
      lines.push(sends(50.5, "3-0", '"x"', "X"), accepts(50.6, "3-0", '"x"'));
    },
  ],
  [
    "a list is taken while a message is on its way",
    ({ lines }) => {
      lines.push(...lists(42.9, 2, 0, false), ...lists(43.1, 2, 1, false), ...lists(43.5, 2, 2, false));
    },
  ],
  [
    "a replay and a broadcast bring the same message, as it is stored while the subscription is made",
    (draft) => {
      draft.lines.push({ at: 2, client: "1-calls", user: 1, kind: "calm" });
      const [asked, confirmed] = subscribes(44.5, "2-0", 3);
      draft.lines.push(asked!, { ...confirmed!, at: 45.5 }, shows(46, "2-0", 4));
    },
  ],
  [
    "ids of connections that died are left",
    ({ stored }) => {
      stored.subscriptionIds.push({ destination: "room-5", id: "sub-1" });
    },
  ],
];

test.each(PERMITTED)("nothing is found when %s", (_what, change) => {
  expect(judged(change)).toEqual([]);
});
