import { countMembers, type MemberCounts } from "../store/auditedMembers.js";
import {
  type AuditedRoom,
  countSlices,
  findAuditedRooms,
  listHoles,
  type RoomEnd,
  type Slice,
} from "../store/auditedRooms.js";
import type { Queryable } from "../store/database.js";
import type { Finding, Kind } from "./area.js";

/** What differs in these rooms' rows and messages, all seen at one moment. */
export async function roomFindings(db: Queryable, roomIds: readonly number[]): Promise<Finding<number>[]> {
  const rooms = await findAuditedRooms(db, roomIds);
  const counts = await countMembers(db, roomIds);
  return [
    ...(await messageFindings(db, rooms)),
    ...rooms.flatMap((room) => [...endFindings(room), ...countFindings(room, counts.get(room.roomId))]),
  ];
}

const MESSAGES_A_STATEMENT = 10_000;
/** Of a room, as text. */
const HOLES_NAMED = 10;

/** What is known of a room's messages so far. */
interface Progress {
  readonly room: AuditedRoom;
  /** System messages up to here. */
  before: number;
  hasHole: boolean;
  wrong: { readonly slice: Slice; readonly expected: number; readonly found: string } | undefined;
}

async function messageFindings(db: Queryable, rooms: readonly AuditedRoom[]): Promise<Finding<number>[]> {
  const progress = new Map(
    rooms.map((room) => [room.roomId, { room, before: 0, hasHole: false, wrong: undefined } as Progress]),
  );
  for (const slices of roundsOf(rooms)) {
    const counts = await countSlices(db, slices);
    for (const slice of slices) addSlice(progress.get(slice.roomId), slice, counts.get(slice.roomId));
  }
  const findings: Finding<number>[] = [];
  for (const one of progress.values()) {
    if (one.hasHole) findings.push(await holeFinding(db, one.room.roomId));
    if (one.wrong) findings.push(uncountedFinding(one.room.roomId, one.wrong));
  }
  return findings;
}

/** Slices of rooms that are counted together: of each room at most one. */
function* roundsOf(rooms: readonly AuditedRoom[]): Iterable<readonly Slice[]> {
  let round: Slice[] = [];
  let free = MESSAGES_A_STATEMENT;
  for (const room of rooms)
    for (const slice of slicesOf(room)) {
      const size = slice.last - slice.first + 1;
      const isAnother = round.some(({ roomId }) => roomId === slice.roomId);
      if (round.length > 0 && (size > free || isAnother)) {
        yield round;
        [round, free] = [[], MESSAGES_A_STATEMENT];
      }
      round.push(slice);
      free -= size;
    }
  if (round.length > 0) yield round;
}

/** The first slice begins at 0, where no message may be. */
export function* slicesOf({ roomId, counted }: Pick<AuditedRoom, "roomId" | "counted">): Iterable<Slice> {
  for (let first = 0; first <= counted.seq; first += MESSAGES_A_STATEMENT)
    yield { roomId, first, last: Math.min(first + MESSAGES_A_STATEMENT - 1, counted.seq) };
}

type Counts = Awaited<ReturnType<typeof countSlices>> extends ReadonlyMap<number, infer One> ? One : never;

function addSlice(one: Progress | undefined, slice: Slice, counts: Counts | undefined): void {
  if (!one) return;
  // No two messages have one `seq`, so as many as there is room for, from the first on, are all.
  const first = Math.max(slice.first, 1);
  if (counts?.messages !== slice.last - first + 1 || counts.firstSeq !== first)
    one.hasHole ||= counts !== undefined || slice.last > 0;
  if (!counts) return;
  const { before, systemMessages } = counts;
  if (!one.wrong && (before[0] !== one.before || before[1] !== one.before)) {
    const found = before[0] === before[1] ? String(before[0]) : `${before[0]} to ${before[1]}`;
    one.wrong = { slice, expected: one.before, found };
  }
  one.before += systemMessages;
}

async function holeFinding(db: Queryable, roomId: number): Promise<Finding<number>> {
  const holes = await listHoles(db, roomId, HOLES_NAMED + 1);
  const texts = holes.slice(0, HOLES_NAMED).map(([before, next]) => missing(before, next));
  return {
    place: roomId,
    kind: "seq",
    where: `room ${roomId}`,
    expected: "1, 2, 3, ... without a hole",
    found: `${texts.join(", ")}${holes.length > HOLES_NAMED ? ", and more" : ""}`,
    unmendable: "a message that is gone can't be derived: restore the database, or live with the hole",
  };
}

function missing(before: number, next: number): string {
  if (next <= before) return `a message ${next}`;
  return next - before === 2 ? `no ${before + 1}` : `no ${before + 1} to ${next - 1}`;
}

const uncountedFinding = (roomId: number, { slice, expected, found }: NonNullable<Progress["wrong"]>) =>
  differing("uncounted", roomId, {
    where: `room ${roomId}, messages ${Math.max(slice.first, 1)} to ${slice.last}`,
    expected: `${expected} system messages before them`,
    found,
  });

interface Difference {
  readonly where?: string;
  readonly expected: string;
  readonly found: string;
}

const differing = (kind: Kind, roomId: number, difference: Difference): Finding<number> => ({
  place: roomId,
  kind,
  where: `room ${roomId}`,
  ...difference,
});

function endFindings({ roomId, stored, counted }: AuditedRoom): readonly Finding<number>[] {
  const findings: Finding<number>[] = [];
  if (stored.seq !== counted.seq)
    findings.push(
      differing("last_seq", roomId, { expected: String(counted.seq), found: String(stored.seq) }),
    );
  const [expected, found] = [endText(counted, counted), endText(stored, counted)];
  if (expected !== found) findings.push(differing("last_message", roomId, { expected, found }));
  return findings;
}

/** A room without messages keeps the time at which it was made. */
const endText = ({ messageId, uncounted, at }: RoomEnd, { at: sentAt }: RoomEnd): string =>
  messageId === null && uncounted === 0
    ? "none"
    : `message ${messageId}, ${uncounted} system messages${sentAt ? `, ${at?.toISOString()}` : ""}`;

function countFindings(
  { roomId, memberCount, awaitedCount }: AuditedRoom,
  counted: MemberCounts = { memberCount: 0, awaitedCount: 0 },
): readonly Finding<number>[] {
  const pairs = [
    ["member_count", counted.memberCount, memberCount],
    ["awaited_count", counted.awaitedCount, awaitedCount],
  ] as const;
  return pairs
    .filter(([, expected, found]) => expected !== found)
    .map(([kind, expected, found]) =>
      differing(kind, roomId, { expected: String(expected), found: String(found) }),
    );
}
