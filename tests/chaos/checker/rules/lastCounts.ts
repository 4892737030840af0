import type { Rule } from "../rule.js";
import { isSystem, type Run } from "../run.js";
import type { StoredMember } from "../stored.js";

/** When nobody acts any more, all counts are exactly those of the stored positions, counted again. */
export const lastCounts: Rule = (run) => {
  if (run.quiet?.missing.length !== 0) return [];
  const counted = countedBySeq(run);
  return [...ofRooms(run, counted), ...ofMessages(run)];
};

/** By room: how many messages up to each seq count as unread. */
function countedBySeq(run: Run): Map<number, number[]> {
  const counted = new Map<number, number[]>();
  for (const message of run.stored.messages) {
    const list = counted.get(message.room) ?? [0];
    list.push((list.at(-1) ?? 0) + (isSystem(message) ? 0 : 1));
    counted.set(message.room, list);
  }
  return counted;
}

function ofRooms(run: Run, counted: ReadonlyMap<number, readonly number[]>): string[] {
  const members = new Map(run.stored.members.map((member) => [`${member.room} ${member.user}`, member]));
  return run.calls
    .filter(({ call }) => call.final)
    .flatMap(({ call, answer }) =>
      (answer?.rooms ?? []).flatMap(({ room, unread }) => {
        const list = counted.get(room) ?? [0];
        const read = members.get(`${room} ${call.user}`)?.readSeq ?? 0;
        const recount = (list.at(-1) ?? 0) - (list[read] ?? list.at(-1) ?? 0);
        if (unread === recount) return [];
        return [`user ${call.user} has ${unread} unread in room ${room} at the end: ${recount} are`];
      }),
    );
}

function ofMessages(run: Run): string[] {
  const members = new Map<number, StoredMember[]>();
  for (const member of run.stored.members)
    members.set(member.room, [...(members.get(member.room) ?? []), member]);
  return run.sights
    .filter(({ how, seen }) => how === "final" && !isSystem(seen))
    .flatMap(({ seen: { room, seq, unread }, client }) => {
      const recount = (members.get(room) ?? []).filter(({ readSeq }) => readSeq < seq).length;
      if (unread === recount) return [];
      return [`seq ${seq} of room ${room} has ${unread} unread at the end (${client}): ${recount} are`];
    });
}
