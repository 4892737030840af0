import {
  isSystem,
  type PendingMessage,
  type Room,
  type RoomMessage,
  type StoredMessage,
} from "@nonstop/chat-client";
import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { keyOf } from "./arrange.js";
import { chunksOf } from "./chunks.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { MessageChunk } from "./messageChunk.js";
import { MessageMenu } from "./messageMenu.js";
import { useMessageMenu } from "./messageMenuOpening.js";
import { nameOf } from "./name.js";
import { useScrolling } from "./scrolling.js";
import { usePictures } from "./senderPictures.js";
import { useMessages, useSession } from "./session.js";
import { systemText } from "./systemText.js";
import type { Texts } from "./texts/en.js";

interface Props {
  readonly room: Room;
  readonly name: string;
  /** Of the other one in a room of two. */
  readonly imageUrl: string | null | undefined;
  readonly onEdit: (message: PendingMessage) => void;
}

export function MessageList({ room, name, imageUrl, onEdit }: Props) {
  const { me } = useSession();
  const texts = useTexts();
  // Thousands of counts may change at once: that is drawn piece by piece, and never holds up what one does meanwhile.
  const messages = useDeferredValue(useMessages(room));
  const log = useRef<HTMLDivElement>(null);
  const chunks = useMemo(() => chunksOf(messages), [messages]);
  const pictures = usePictures(room, imageUrl, me.userId);
  const { isAtEnd, isSettled, isFar, toEnd, onScroll } = useScrolling(log, room, messages, me.userId);
  const firstUnread = firstUnreadOf(room, messages);
  const last = messages.findLast((message) => !isSystem(message));
  const lastSeq = lastStored(messages)?.seq ?? 0;
  const newCount = useNewCount(messages, isAtEnd, me.userId);
  useReading(room, isSettled && isAtEnd, lastSeq);
  const [menu, closeMenu] = useMessageMenu(log, messages, me.userId);
  const today = new Date().toDateString();
  return (
    <div className="logFrame">
      <div
        ref={log}
        className="log"
        role="log"
        aria-live="off"
        aria-label={texts.messagesOf(name)}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it with the keyboard
        tabIndex={0}
        data-testid="log"
        data-scroll={isSettled ? "settled" : isFar ? "far" : undefined}
        onScroll={onScroll}
      >
        <Older room={room} isReady={isSettled} first={messages[0]} log={log} />
        <div className="chunks">
          {chunks.map((chunk) => (
            <MessageChunk
              key={chunk.key}
              {...{ room, chunk, today, pictures, onEdit }}
              firstUnread={firstUnread && chunk.messages.includes(firstUnread) ? firstUnread : undefined}
              reachable={last && chunk.messages.includes(last) ? keyOf(last, me.userId) : undefined}
            />
          ))}
        </div>
      </div>
      {!isAtEnd && (
        <button type="button" className="toEnd" onClick={toEnd}>
          <Icon name="down" />
          {texts.toNewest(newCount)}
        </button>
      )}
      {menu && <MessageMenu key={menu.key} {...{ room, menu, name, onEdit }} onClose={closeMenu} />}
      <Announcer room={room} messages={messages} me={me.userId} />
    </div>
  );
}

const lastStored = (messages: readonly RoomMessage[]) =>
  messages.findLast((message) => message.state === "stored");

/** The first message that was unread when the room was opened, if it is loaded. */
function firstUnreadOf({ unreadFrom, hasOlder }: Room, messages: readonly RoomMessage[]) {
  if (unreadFrom === undefined) return undefined;
  const index = messages.findIndex((message) => message.state === "stored" && message.seq >= unreadFrom);
  const first = messages[index];
  // The one itself may be deleted; what is before the first page can't be known.
  const isKnown = index > 0 || !hasOlder || (first?.state === "stored" && first.seq === unreadFrom);
  return isKnown ? first : undefined;
}

/** How many of the others' messages came since one has scrolled away from the end. */
function useNewCount(messages: readonly RoomMessage[], isAtEnd: boolean, me: number): number {
  const [seen, setSeen] = useState(0);
  const last = lastStored(messages)?.seq ?? 0;
  useEffect(() => {
    if (isAtEnd || seen === 0) setSeen(last);
  }, [isAtEnd, seen, last]);
  if (isAtEnd || seen === 0) return 0;
  return newSince(messages, seen, me).length;
}

/** What others wrote behind this `seq`; from the end on, as there may be thousands before it. */
function newSince(messages: readonly RoomMessage[], seq: number, me: number): StoredMessage[] {
  const found: StoredMessage[] = [];
  for (let index = messages.length - 1; index >= 0; index -= 1) {
    const message = messages[index]!;
    if (message.state !== "stored") continue;
    if (message.seq <= seq) break;
    if (message.senderId !== me) found.push(message);
  }
  return found.reverse();
}

/** Reads the room while its end is seen: the page is in front and has the focus. */
function useReading(room: Room, isEndShown: boolean, lastSeq: number): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new message is read anew
  useEffect(() => {
    if (!isEndShown) return;
    const read = () => {
      if (document.visibilityState === "visible" && document.hasFocus()) room.markRead();
    };
    read();
    window.addEventListener("focus", read);
    document.addEventListener("visibilitychange", read);
    return () => {
      window.removeEventListener("focus", read);
      document.removeEventListener("visibilitychange", read);
    };
  }, [room, isEndShown, lastSeq]);
}

interface OlderProps {
  readonly room: Room;
  readonly isReady: boolean;
  readonly first: RoomMessage | undefined;
  readonly log: { readonly current: HTMLElement | null };
}

/** Loads the page before when the top comes near. */
function Older({ room, isReady, first, log }: OlderProps) {
  const texts = useTexts();
  const [failed, setFailed] = useState(false);
  const top = useRef<HTMLDivElement>(null);
  const load = useCallback(() => {
    setFailed(false);
    room.loadOlder().catch(() => setFailed(true));
  }, [room]);
  const seq = first?.state === "stored" ? first.seq : 0;
  // Anew for each page: the top may still be near after one.
  // biome-ignore lint/correctness/useExhaustiveDependencies: `seq` tells that a page has come
  useEffect(() => {
    if (!isReady || !room.hasOlder || failed) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && load(), {
      root: log.current,
      rootMargin: "600px 0px 0px 0px",
    });
    observer.observe(top.current!);
    return () => observer.disconnect();
  }, [isReady, seq, failed, room, load, log]);
  return (
    <div ref={top} className="older">
      {!isReady && room.status !== "gone" && <p>{texts.loading}</p>}
      {isReady && room.hasOlder && !failed && <p>{texts.loadingOlder}</p>}
      {isReady && !room.hasOlder && <p>{texts.oldest}</p>}
      {failed && (
        <button type="button" className="quiet" onClick={load}>
          {texts.tryAgain}
        </button>
      )}
    </div>
  );
}

interface AnnouncerProps {
  readonly room: Room;
  readonly messages: readonly RoomMessage[];
  readonly me: number;
}

/** So many of the messages that came in one go are read out. */
const MOST_ANNOUNCED = 5;

/** Says what others write to those who can't see it; history that is loaded is not read out. */
function Announcer({ room, messages, me }: AnnouncerProps) {
  const texts = useTexts();
  const told = useRef<number>(undefined);
  const [news, setNews] = useState<{ readonly key: number; readonly text: string }>();
  useEffect(() => {
    if (room.status !== "ready") return;
    const last = lastStored(messages)?.seq ?? 0;
    const since = told.current ?? last;
    told.current = Math.max(since, last);
    const fresh = newSince(messages, since, me);
    if (fresh.length === 0) return;
    const lines = fresh.slice(-MOST_ANNOUNCED).map((message) => spoken(message, texts));
    setNews({ key: last, text: lines.join("\n") });
  }, [room, messages, me, texts]);
  return (
    <p className="unseen" aria-live="polite">
      {/* Another element each time: the same words twice are news, too. */}
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
