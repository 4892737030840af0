import { isDeepStrictEqual } from "node:util";
import { call, type Json } from "../client.js";
import { PATIENCE_MS } from "../patience.js";
import { type LiveRoom, orderFaults, shownCount } from "./liveClient.js";
import type { SharedRoom, Together } from "./together.js";

/** What all users see of one room. */
interface View {
  readonly room: SharedRoom;
  /** From the first message on. */
  readonly history: readonly Json[];
  /** Its entry in each member's room list. */
  readonly entries: ReadonlyMap<number, Json>;
  /** Of a group. */
  readonly members: readonly Json[];
  readonly seqOf: (messageId: number | null) => number | undefined;
}

/** Waits until everything is as it must be when nothing is under way; throws with all that is not. */
export async function checkInvariants(together: Together): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const faults = await allFaults(together);
    if (faults.length === 0) return;
    if (Date.now() > end) throw new Error(faults.join("\n"));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function allFaults(together: Together): Promise<string[]> {
  const lists = new Map<number, readonly Json[]>();
  for (const { userId, token } of together.users)
    lists.set(userId, (await call("GET", "/rooms?limit=100", token)).body.rooms);
  const faults: string[] = [];
  for (const room of together.rooms) {
    const view = await viewOf(together, room, lists);
    if (!view) continue;
    const found = [
      ...messageFaults(together, view),
      ...memberFaults(view),
      ...readFaults(view),
      ...together.users.flatMap(({ userId }) => liveFaults(together, view, userId)),
    ];
    faults.push(...found.map((fault) => `room ${room.roomId}: ${fault}`));
  }
  return faults;
}

async function viewOf(
  { users }: Together,
  room: SharedRoom,
  lists: ReadonlyMap<number, readonly Json[]>,
): Promise<View | undefined> {
  const { roomId } = room;
  const entries = new Map<number, Json>();
  for (const [userId, rooms] of lists) {
    const entry = rooms.find((one) => one.roomId === roomId);
    if (entry) entries.set(userId, entry);
  }
  // A group's observer and both of a one-to-one room see all of it; nobody sees one that both have left.
  const viewer = users.find(({ userId }) => entries.has(userId));
  if (!viewer) return undefined;
  const history: Json[] = [];
  for (let page: Json[] | undefined; page === undefined || page.length === 100; history.push(...page))
    page = (await call("GET", `/rooms/${roomId}/messages?limit=100&after=${history.length}`, viewer.token))
      .body.messages as Json[];
  const members =
    room.type === "GROUP"
      ? (await call("GET", `/group-rooms/${roomId}/members`, viewer.token)).body.members
      : [];
  const seqs = new Map(history.map(({ messageId, seq }) => [messageId, seq]));
  return { room, history, entries, members, seqOf: (id) => (id === null ? 0 : seqs.get(id)) };
}

/**
 * Each message is stored once, in its sender's order, or refused each time. Each change is announced once.
 */
function messageFaults({ clients }: Together, { room, history }: View): string[] {
  const faults: string[] = [];
  if (history.some(({ seq }, index) => seq !== index + 1))
    faults.push(`seqs ${history.map(({ seq }) => seq)}`);
  if (history.some(({ messageId }, index) => index > 0 && messageId <= history[index - 1].messageId))
    faults.push(`messageIds ${history.map(({ messageId }) => messageId)}`);
  const texts = history.filter(({ type }) => type === "TEXT");
  const known = new Set(room.sent.map(({ clientMessageId }) => clientMessageId));
  if (texts.some(({ clientMessageId }) => !known.has(clientMessageId)))
    faults.push(`stored are ${texts.map(({ clientMessageId }) => clientMessageId)}`);
  for (const { userId, clientMessageId, content } of room.sent) {
    const isIt = (one: Json): boolean => one.clientMessageId === clientMessageId;
    const stored = texts.filter(
      (one) => isIt(one) && one.senderId === userId && one.content === content,
    ).length;
    const times = room.sent.filter(isIt).length;
    const told = clients.get(userId)!.errors.filter(isIt).length;
    // A repeat of what is stored has no answer but its receipt.
    const isRight = stored === 1 ? told < times : stored === 0 && told === times;
    if (!isRight) faults.push(`${clientMessageId}: sent ${times} times, stored ${stored}, refused ${told}`);
  }
  for (const userId of clients.keys()) {
    const order = texts.filter(({ senderId }) => senderId === userId).map(({ content }) => content);
    if (!isDeepStrictEqual(order, order.toSorted(byPlace)))
      faults.push(`user ${userId} sent in the order ${order}`);
  }
  const announced = history.filter(({ type }) => type !== "TEXT").flatMap(changeTexts);
  const made = room.changes.map(({ type, senderId, userId }) => `${type} ${senderId} ${userId}`);
  if (!isDeepStrictEqual(announced.toSorted(), made.toSorted()))
    faults.push(`announced are ${announced.join(", ")}; made were ${made.join(", ")}`);
  return faults;
}

/** Whom a change of members is about. */
const targetsOf = ({ target, targets = [target] }: Json): number[] =>
  targets.map(({ userId }: Json) => userId);

const changeTexts = (message: Json): string[] =>
  targetsOf(message).map((userId) => `${message.type} ${message.senderId} ${userId}`);

/** Contents are the number of the burst and the place in it. */
function byPlace(a: string, b: string): number {
  const [burst, index] = a.split(".").map(Number) as [number, number];
  const [otherBurst, otherIndex] = b.split(".").map(Number) as [number, number];
  return burst - otherBurst || index - otherIndex;
}

/** The listed members are those whom the announcements, applied in their order, leave in the room. */
function memberFaults({ room, history, entries, members }: View): string[] {
  const faults: string[] = [];
  for (const [userId, { memberCount }] of entries)
    if (memberCount !== entries.size)
      faults.push(`user ${userId} sees ${memberCount} members, there are ${entries.size}`);
  if (room.type !== "GROUP") return faults;
  const present = new Set(room.first);
  for (const message of history) {
    const { seq, type, senderId } = message;
    if (type === "TEXT") {
      const isInvitedLater = history.some(
        (one) => one.seq > seq && one.type === "SYSTEM_INVITE" && targetsOf(one).includes(senderId),
      );
      if (!present.has(senderId) && !isInvitedLater)
        faults.push(`user ${senderId} sent ${seq} after leaving`);
      continue;
    }
    const comes = type === "SYSTEM_INVITE";
    for (const userId of targetsOf(message)) {
      if (present.has(userId) === comes)
        faults.push(`${seq} announces ${type} of ${userId} at the wrong place`);
      if (comes) present.add(userId);
      else present.delete(userId);
    }
  }
  const listed = members.map(({ userId }) => userId);
  for (const [what, users] of [
    ["announcements", [...present]],
    ["room lists", [...entries.keys()]],
  ] as const)
    if (!isDeepStrictEqual(listed.toSorted(), users.toSorted()))
      faults.push(`members are ${listed}, by the ${what} ${users}`);
  const creators = members.filter(({ isCreator }) => isCreator);
  if (creators.length !== 1) faults.push(`creators are ${creators.map(({ userId }) => userId)}`);
  return faults;
}

/** Counts are what the positions say, and no accepted read is lost. */
function readFaults({ room, history, entries, members, seqOf }: View): string[] {
  const faults: string[] = [];
  const positions = new Map<number, number>();
  for (const { userId, lastReadMessageId } of members) positions.set(userId, seqOf(lastReadMessageId) ?? -1);
  for (const [userId, { unreadCount }] of entries) {
    const unread = unreadAt(history);
    // A one-to-one room has no list of members. Any position at which that many are unread will do.
    if (members.length === 0) positions.set(userId, positionWith(history, unreadCount));
    const position = positions.get(userId)!;
    if (unread(position) !== unreadCount)
      faults.push(
        `user ${userId} has ${unreadCount} unread instead of ${unread(position)} of ${history.length} at ${position}`,
      );
  }
  for (const { seq, type, unreadCount } of history) {
    const isText = type === "TEXT";
    const due = isText ? [...positions.values()].filter((position) => position < seq).length : 0;
    if (unreadCount !== due) faults.push(`message ${seq} counts ${unreadCount} instead of ${due}`);
  }
  const atLeast = [
    ...room.read,
    ...history
      .filter(({ type }) => type === "TEXT")
      .map(({ senderId, messageId }) => ({ userId: senderId, messageId })),
  ];
  for (const { userId, messageId } of atLeast) {
    const position = positions.get(userId);
    if (position !== undefined && position < (seqOf(messageId) ?? Infinity))
      faults.push(`user ${userId} has read message ${messageId} (${seqOf(messageId)}) and is at ${position}`);
  }
  return faults;
}

/** How many messages are unread to who has read up to a seq: no system messages. */
const unreadAt =
  (history: readonly Json[]) =>
  (position: number): number =>
    history.filter(({ seq, type }) => seq > position && type === "TEXT").length;

/** The last position at which `unread` messages are unread. */
const positionWith = (history: readonly Json[], unread: number): number =>
  history.findLast(({ seq }) => unreadAt(history)(seq) === unread)?.seq ?? 0;

/**
 * A member's latest subscription holds all since it began, with the same counts; a removed member's holds no
 * more.
 */
function liveFaults({ clients }: Together, view: View, userId: number): string[] {
  const { room, history, entries } = view;
  const all = clients.get(userId)!.rooms.filter(({ roomId }) => roomId === room.roomId);
  const faults = all.flatMap(orderFaults);
  const live = all.at(-1);
  // Nothing announces to who has left a one-to-one room that it goes on.
  if (room.leavers.has(userId)) return faults;
  if (!entries.has(userId)) {
    const removal = history.findLast(
      (one) => one.type !== "TEXT" && one.type !== "SYSTEM_INVITE" && targetsOf(one).includes(userId),
    );
    const late = all.flatMap(({ arrived }) => arrived).filter((seq) => seq >= removal?.seq);
    if (late.length > 0) faults.push(`user ${userId} got ${late} after being removed in ${removal.seq}`);
    return faults;
  }
  if (!live) return [...faults, `user ${userId} is a member and has no subscription`];
  const missed = history
    .filter(({ seq }) => seq > live.subscribedAt && !live.messages.has(seq))
    .map(({ seq }) => seq);
  if (missed.length > 0)
    faults.push(`user ${userId}, subscribed at ${live.subscribedAt}, did not get ${missed}`);
  const whoCame = history.filter(({ type }) => type === "SYSTEM_INVITE").flatMap(targetsOf);
  for (const [seq, message] of live.messages) {
    const stored = history[seq - 1];
    if (!isDeepStrictEqual({ ...message, unreadCount: stored?.unreadCount }, stored))
      faults.push(`user ${userId} got ${JSON.stringify(message)}, stored is ${JSON.stringify(stored)}`);
    else if (shownCount(live, seq) !== stored.unreadCount)
      faults.push(
        `user ${userId} counts ${shownCount(live, seq)} at ${seq} instead of ${stored.unreadCount}, by ${JSON.stringify(live.moves)}`,
      );
  }
  return [...faults, ...positionFaults(live, view, whoCame)];
}

/**
 * A client that keeps members' positions, from the list at first and then from frames alone, has those of the
 * list now. Members who came later are left out: the client does not know where they began.
 */
function positionFaults(
  { positions, userId, moves }: LiveRoom,
  { members }: View,
  whoCame: readonly number[],
): string[] {
  return members.flatMap((member) => {
    const position = positions.get(member.userId) ?? null;
    if (whoCame.includes(member.userId) || position === member.lastReadMessageId) return [];
    return `user ${userId} has member ${member.userId} at ${position} instead of ${member.lastReadMessageId}, by ${JSON.stringify(moves)}`;
  });
}
