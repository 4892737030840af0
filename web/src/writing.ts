import type { ContentType, PendingMessage, Room } from "@nonstop/chat-client";
import { useState } from "react";
import { caught } from "./caught.js";
import { draftIn, keepDraft } from "./drafts.js";
import { useReport } from "./reporting.js";
import { useSession } from "./session.js";

/** The service counts characters (code points), not UTF-16 units. */
const MOST_CHARACTERS = 5_000;
/** Refused with one of these codes, a message is nowhere in the room; otherwise the room shows it. */
const NOT_TAKEN: ReadonlySet<string> = new Set(["OUTBOX_FULL", "NOT_SUPPORTED"]);

interface Writing {
  readonly text: string;
  /** How many more characters may be written; negative when there are too many. */
  readonly left: number;
  /** Whether the text can be sent. */
  readonly isReady: boolean;
  readonly change: (text: string) => void;
  /** Sends the text, if it can be sent, or the changed message. */
  readonly send: (type: ContentType) => void;
}

/** Writes a new message, whose text is kept as a draft, or another text for a refused message. */
export function useWriting(room: Room, editing: PendingMessage | undefined, onEdited: () => void): Writing {
  const { me } = useSession();
  const report = useReport();
  const [text, setText] = useState(() => editing?.content ?? draftIn(me.userId, room.roomId));
  const left = MOST_CHARACTERS - [...text].length;
  const isReady = text.trim() !== "" && left >= 0;
  const change = (next: string) => {
    setText(next);
    // While a refused message is edited, the draft stays as it is.
    if (!editing) keepDraft(me.userId, room.roomId, next);
  };
  const giveBack = (thrown: unknown) => {
    const error = caught(thrown);
    if (!error || !NOT_TAKEN.has(error.code)) return;
    report(error);
    change(text);
  };
  const send = (type: ContentType) => {
    if (!isReady) return;
    if (editing) {
      // A message that is refused again is shown as such in the room.
      room.edit(editing.clientMessageId, text.trim(), { type }).catch(caught);
      onEdited();
    } else {
      room.send(text.trim(), { type }).catch(giveBack);
      change("");
    }
  };
  return { text, left, isReady, change, send };
}
