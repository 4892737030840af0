import type { Room, RoomMessage, StoredMessage } from "@nonstop/chat-client";
import { useEffect, useRef, useState } from "react";
import { useTexts } from "./language.js";
import { nameOf } from "./name.js";
import { lastSeqOf, newSince } from "./newMessages.js";
import { useSession } from "./session.js";
import { systemText } from "./systemText.js";
import type { Texts } from "./texts/en.js";

/** Of the messages that came at once, only the last ones are read out, at most this many. */
const MOST_ANNOUNCED = 5;

interface Props {
  readonly room: Room;
  readonly messages: readonly RoomMessage[];
}

/** Has new messages of others read out to users who can't see them, but no history that is loaded. */
export function Announcer({ room, messages }: Props) {
  const { me } = useSession();
  const texts = useTexts();
  const upTo = useRef<number>(undefined);
  const [news, setNews] = useState<{ readonly key: number; readonly text: string }>();
  useEffect(() => {
    if (room.status !== "ready") return;
    const last = lastSeqOf(messages);
    const since = upTo.current ?? last;
    upTo.current = Math.max(since, last);
    const fresh = newSince(messages, since, me.userId);
    if (fresh.length === 0) return;
    const lines = fresh.slice(-MOST_ANNOUNCED).map((message) => spoken(message, texts));
    setNews({ key: last, text: lines.join("\n") });
  }, [room, messages, me, texts]);
  return (
    <p className="unseen" aria-live="polite">
      {/* A new element each time: otherwise the same text would not be read out again. */}
      {news && <span key={news.key}>{news.text}</span>}
    </p>
  );
}

function spoken(message: StoredMessage, texts: Texts): string {
  const system = systemText(message, texts);
  if (system !== undefined) return system;
  const sender = nameOf({ userId: message.senderId, nickname: message.senderNickname }, texts);
  return `${sender}: ${message.type === "IMAGE" ? texts.picture : message.content}`;
}
