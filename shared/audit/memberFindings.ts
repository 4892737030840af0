import {
  listWrongHidden,
  listWrongPositions,
  type WrongHidden,
  type WrongPosition,
} from "../store/auditedMembers.js";
import type { Queryable } from "../store/database.js";
import type { Finding } from "./area.js";

/** So many wrong members are named at once. Where there are more, each room is looked at alone. */
const MEMBERS_NAMED = 100;

/** What differs in these rooms' members: where they stand, and what is stored of their unread messages. */
export async function memberFindings(
  db: Queryable,
  roomIds: readonly number[],
): Promise<readonly Finding<number>[]> {
  const positions = await listWrongPositions(db, roomIds, MEMBERS_NAMED);
  const hidden = await listWrongHidden(db, roomIds, MEMBERS_NAMED);
  if (Math.max(positions.length, hidden.length) < MEMBERS_NAMED || roomIds.length === 1)
    return [...positions.map(positionFinding), ...hidden.map(hiddenFinding)];
  const findings: Finding<number>[] = [];
  for (const roomId of roomIds) findings.push(...(await memberFindings(db, [roomId])));
  return findings;
}

function positionFinding(one: WrongPosition): Finding<number> {
  const { roomId, userId } = one;
  const base = { place: roomId, where: `room ${roomId}, user ${userId}` };
  if (!one.isAwaited && one.joinedSeq > one.greatest)
    return {
      ...base,
      kind: "joined_seq",
      expected: `0 to ${one.greatest}`,
      found: String(one.joinedSeq),
    };
  return { ...base, kind: "read_position", expected: expectedOf(one), found: foundOf(one) };
}

function expectedOf({ isAwaited, seq, least, greatest, there }: WrongPosition): string {
  if (isAwaited) return "none, and a user who has never been here";
  if (seq < least || seq > greatest) return `seq ${least} to ${greatest}`;
  if (!there) return seq === 0 ? "seq 0, no message" : "the seq of a message";
  return `seq ${seq}, message ${there.messageId}, ${there.uncounted} system messages`;
}

function foundOf({ isAwaited, seq, messageId, uncounted }: WrongPosition): string {
  const rest = `message ${messageId ?? "none"}, ${uncounted} system messages`;
  return isAwaited ? `none, ${rest}` : `seq ${seq}, ${rest}`;
}

const hiddenFinding = ({ roomId, userId, stored, counted }: WrongHidden): Finding<number> => ({
  place: roomId,
  kind: "hidden_unread",
  where: `room ${roomId}, user ${userId}`,
  expected: String(counted),
  found: String(stored),
});
