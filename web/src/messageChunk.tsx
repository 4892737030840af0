import type { PendingMessage, Room, RoomMessage } from "@nonstop/chat-client";
import { type CSSProperties, Fragment, memo } from "react";
import { arrange } from "./arrange.js";
import { type Chunk, isSameChunk } from "./chunks.js";
import { dayText } from "./dates.js";
import { useLanguage } from "./language.js";
import { MessageRow } from "./messageRow.js";
import type { Pictures } from "./senderPictures.js";
import { useSession } from "./session.js";

interface Props {
  readonly room: Room;
  readonly chunk: Chunk;
  /** The line of new messages stands above it. */
  readonly firstUnread: RoomMessage | undefined;
  /** The key of the message whose menu the Tab key leads to. */
  readonly reachable: string | undefined;
  readonly pictures: Pictures;
  /** Another word each day, for the names of days. */
  readonly today: string;
  readonly onEdit: (message: PendingMessage) => void;
}

/** Some messages that follow each other. Far from what is seen the browser skips them, at the height that they were measured with. */
export const MessageChunk = memo(function MessageChunk(props: Props) {
  const { room, chunk, firstUnread, reachable, pictures, onEdit } = props;
  const { me } = useSession();
  const { language, texts } = useLanguage();
  const now = new Date();
  const guess = { "--rows": chunk.messages.length } as CSSProperties;
  return (
    <ol className="messages" data-chunk={chunk.key} style={guess}>
      {arrange(chunk.messages, me.userId, chunk).map(({ key, message, isMine, isFirst, isLast, day }) => (
        <Fragment key={key}>
          {day && (
            <li className="day">
              <span>{dayText(day, now, language, texts)}</span>
            </li>
          )}
          {message === firstUnread && (
            <li className="newLine">
              <span>{texts.newMessages}</span>
            </li>
          )}
          <MessageRow
            id={key}
            {...{ room, message, isMine, isFirst, isLast, onEdit }}
            isReachable={key === reachable}
            picture={
              message.state === "stored" && isFirst && !isMine ? pictures.of(message.senderId) : undefined
            }
          />
        </Fragment>
      ))}
    </ol>
  );
}, isSame);

function isSame({ chunk: before, ...a }: Props, { chunk: after, ...b }: Props): boolean {
  const names = Object.keys(b) as (keyof typeof b)[];
  return isSameChunk(before, after) && names.every((name) => a[name] === b[name]);
}
