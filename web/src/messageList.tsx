import { isSystem, type PendingMessage, type Room, type RoomMessage } from "@nonstop/chat-client";
import { useDeferredValue, useEffect, useMemo, useRef } from "react";
import { Announcer } from "./announcer.js";
import { keyOf } from "./arrange.js";
import { chunksOf } from "./chunks.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { MessageChunk } from "./messageChunk.js";
import { MessageMenu } from "./messageMenu.js";
import { useMessageMenu } from "./messageMenuOpening.js";
import { lastSeqOf, useNewCount } from "./newMessages.js";
import { Older } from "./older.js";
import { useScrolling } from "./scrolling.js";
import { usePictures } from "./senderPictures.js";
import { useMessages, useSession } from "./session.js";

interface Props {
  readonly room: Room;
  /** The room's. */
  readonly name: string;
  /** In a room of two the other user's picture. */
  readonly imageUrl: string | null | undefined;
  readonly onEdit: (message: PendingMessage) => void;
}

/** A room's messages: the log, its menu, and what is said about it. */
export function MessageList({ room, name, imageUrl, onEdit }: Props) {
  const { me } = useSession();
  const texts = useTexts();
  // Thousands of counts may change at once. React renders a deferred value in pieces: the page stays usable.
  const messages = useDeferredValue(useMessages(room));
  const log = useRef<HTMLDivElement>(null);
  const { isAtEnd, isSettled, isFar, toEnd, onScroll } = useScrolling(log, room, messages, me.userId);
  const newCount = useNewCount(messages, isAtEnd, me.userId);
  useReading(room, isSettled && isAtEnd, lastSeqOf(messages));
  const [menu, closeMenu] = useMessageMenu(log, messages, me.userId);
  return (
    <div className="logFrame">
      <div
        ref={log}
        className="log"
        role="log"
        aria-live="off"
        aria-label={texts.messagesOf(name)}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: users without a mouse scroll it with the keyboard
        tabIndex={0}
        data-testid="log"
        data-scroll={isSettled ? "settled" : isFar ? "far" : undefined}
        onScroll={onScroll}
      >
        <Older room={room} isReady={isSettled} first={messages[0]} log={log} />
        <Chunks {...{ room, messages, imageUrl, onEdit }} />
      </div>
      {!isAtEnd && (
        <button type="button" className="toEnd" onClick={toEnd}>
          <Icon name="down" />
          {texts.toNewest(newCount)}
        </button>
      )}
      {menu && <MessageMenu key={menu.key} {...{ room, menu, name, onEdit }} onClose={closeMenu} />}
      <Announcer room={room} messages={messages} />
    </div>
  );
}

interface ChunksProps extends Omit<Props, "name"> {
  readonly messages: readonly RoomMessage[];
}

function Chunks({ room, messages, imageUrl, onEdit }: ChunksProps) {
  const { me } = useSession();
  const chunks = useMemo(() => chunksOf(messages), [messages]);
  const pictures = usePictures(room, imageUrl, me.userId);
  const firstUnread = firstUnreadOf(room, messages);
  const last = messages.findLast((message) => !isSystem(message));
  const today = new Date().toDateString();
  return (
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
  );
}

/** The first message that was unread when the room was opened, if it is loaded. */
function firstUnreadOf({ unreadFrom, hasOlder }: Room, messages: readonly RoomMessage[]) {
  if (unreadFrom === undefined) return undefined;
  const index = messages.findIndex((message) => message.state === "stored" && message.seq >= unreadFrom);
  const first = messages[index];
  // The message with this `seq` may be deleted. Then messages that aren't loaded may be unread, too.
  const isKnown = index > 0 || !hasOlder || (first?.state === "stored" && first.seq === unreadFrom);
  return isKnown ? first : undefined;
}

/** Marks the room as read while the user sees its end: the page is visible and has the focus. */
function useReading(room: Room, isEndShown: boolean, lastSeq: number): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new message is to be read
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
