import type { Seen } from "../../clients/history.js";
import type { Rule } from "../rule.js";
import type { Called, Run } from "../run.js";

/** A page of the history has no hole, and the last reading of a room has all that its reader may see. */
export const history: Rule = (run) => [
  ...run.calls.flatMap(({ call, answer }) =>
    holes(call.after, answer?.messages ?? [], `${call.client}, call ${call.call}`),
  ),
  ...lastReadings(run),
];

function holes(after: number, messages: readonly Seen[], where: string): string[] {
  let last = messages[0] && messages[0].seq > after ? messages[0].seq - 1 : after;
  return messages.flatMap(({ seq, room }) => {
    const before = last;
    last = seq;
    return seq === before + 1 ? [] : [`a page of room ${room} (${where}) has seq ${seq} after ${before}`];
  });
}

function lastReadings(run: Run): string[] {
  const readings = new Map<string, Seen[]>();
  for (const { call, answer } of run.calls.filter(isLastReading)) {
    const key = `${call.room} ${call.user}`;
    readings.set(key, [...(readings.get(key) ?? []), ...(answer?.messages ?? [])]);
  }
  return run.stored.members.flatMap((member) => {
    const read = readings.get(`${member.room} ${member.user}`);
    const made = run.rooms.get(member.room);
    if (!read || !made) return [];
    const last = run.stored.rooms.find(({ room }) => room === member.room)?.lastSeq ?? 0;
    const from = made.group ? member.joinedSeq : 0;
    const [first, end] = [read[0]?.seq ?? last + 1, read.at(-1)?.seq ?? last];
    const isWhole = read.length === last - from && (last === from || (first === from + 1 && end === last));
    // What came after it was read is missing there: then it says so that waiting has ended too early.
    if (isWhole || (run.quiet?.missing.length !== 0 && first > from)) return [];
    return [
      `user ${member.user} read ${read.length} messages of room ${member.room}, where ${from + 1} to ${last} are theirs`,
    ];
  });
}

const isLastReading = ({ call, answer }: Called): boolean =>
  call.asked === "history" && call.final && answer?.status === 200;
