import { SEND_MESSAGE, SEND_READ } from "../frames/destinations.js";
import type { MembersCache } from "../redis/ports.js";
import type { Frame } from "../stomp/frame.js";

/** In what is longer than this no room is looked for. */
const CHARACTERS = 8_192;
/** A guess at the room of a payload. The command reads the payload as it is to be read, and asks of that room. */
const ROOM = /"roomId"\s*:\s*(\d{1,15})\s*[,}]/;

/**
 * Asks whether the sender of a frame is a member of its room while the frame is being admitted, so that both
 * questions go to the cache together. Returns the cache with that answer in it; any other is asked for as usual.
 */
export function lookAhead(frame: Frame, userId: number, members: MembersCache): MembersCache {
  const guessed = roomOf(frame);
  if (guessed === undefined) return members;
  const answer = members.isMember(guessed, userId);
  // A frame that is refused before leaves it unread.
  answer.catch(() => {});
  return {
    isMember: (roomId, ofUser) =>
      roomId === guessed && ofUser === userId ? answer : members.isMember(roomId, ofUser),
    membersVersion: (roomId) => members.membersVersion(roomId),
    putMembers: (...filled) => members.putMembers(...filled),
    dropMembers: (roomId) => members.dropMembers(roomId),
  };
}

function roomOf({ command, headers, body }: Frame): number | undefined {
  if (command !== "SEND" || body.length > CHARACTERS) return undefined;
  const destination = headers.get("destination");
  if (destination !== SEND_MESSAGE && destination !== SEND_READ) return undefined;
  const digits = ROOM.exec(body)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
