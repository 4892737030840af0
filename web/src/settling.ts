import type { Room, RoomMessage } from "@nonstop/chat-client";
import { type RefObject, useLayoutEffect, useState } from "react";
import { caught } from "./caught.js";
import { firstView, type View } from "./logView.js";
import { type Anchor, anchorIn } from "./scrollAnchor.js";

/** The log begins with the newest page instead of a message that is further back than this. */
const FARTHEST = 20_000;

/**
 * How far a log has come:
 * - `waiting` for the room's first page.
 * - `far`: it begins with a message before that page, and loads the messages from there on.
 * - `loaded`: they are there, as far as they could be loaded.
 * - `settled`: it has scrolled to what it begins with.
 */
export type Step = "waiting" | "far" | "loaded" | "settled";

/** Loads what the room's log begins with, scrolls there once, and hands over what it shows then. */
export function useSettling(
  log: RefObject<HTMLElement | null>,
  room: Room,
  messages: readonly RoomMessage[],
  me: number,
  onSettled: (view: View) => void,
): Step {
  const [step, setStep] = useState<Step>("waiting");
  useLayoutEffect(() => {
    if (step === "far" || step === "settled" || room.status !== "ready") return;
    // The page draws what was loaded a moment later (`useDeferredValue`).
    if (messages !== room.messages) return;
    if (step === "waiting" && missingFrom(room, me) !== undefined) {
      setStep("far");
      void loadFar(room, me).then(() => setStep("loaded"));
      return;
    }
    onSettled(firstView(log.current!, anchorOf(room, me)));
    setStep("settled");
  }, [log, room, messages, me, step, onSettled]);
  return step;
}

function anchorOf(room: Room, me: number): Anchor | undefined {
  const anchor = anchorIn(me, room.roomId);
  return anchor === "end" ? undefined : anchor;
}

const firstSeq = ({ messages: [first] }: Room): number | undefined =>
  first?.state === "stored" ? first.seq : undefined;

/** The `seq` of the message that the log begins with; undefined when it is loaded, or lies too far back. */
function missingFrom(room: Room, me: number): number | undefined {
  const begin = anchorOf(room, me)?.seq ?? room.unreadFrom;
  const first = firstSeq(room);
  if (begin === undefined || first === undefined || !room.hasOlder) return undefined;
  return begin < first && first - begin <= FARTHEST ? begin : undefined;
}

/**
 * Loads the history back to what the log begins with. One call of `loadOlder` loads some thousand messages,
 * so it is repeated as long as it finds more. Never rejects.
 */
async function loadFar(room: Room, me: number): Promise<void> {
  try {
    for (let to = missingFrom(room, me); to !== undefined; to = missingFrom(room, me)) {
      const before = firstSeq(room);
      await room.loadOlder(to);
      if (firstSeq(room) === before) return;
    }
  } catch (thrown) {
    // The top of the log offers to try again.
    caught(thrown);
  }
}
