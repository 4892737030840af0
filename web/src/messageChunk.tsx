import type { PendingMessage, Room, RoomMessage } from "@nonstop/chat-client";
import { Fragment, memo } from "react";
import { type Arranged, arrange } from "./arrange.js";
import { type Chunk, isSameChunk } from "./chunks.js";
import { dayText } from "./dates.js";
import { useLanguage } from "./language.js";
import { MessageRow } from "./messageRow.js";
import type { Pictures } from "./senderPictures.js";
import { useSession } from "./session.js";

declare module "react" {
  interface CSSProperties {
    /** How many rows a chunk has: the style sheet guesses its height by it. */
    "--rows"?: number;
  }
}

interface Props {
  readonly room: Room;
  readonly chunk: Chunk;
  /** The line of new messages stands above it. */
  readonly firstUnread: RoomMessage | undefined;
  /** The key of the message to whose menu button the Tab key leads. */
  readonly reachable: string | undefined;
  readonly pictures: Pictures;
  /** Another text each day: the names of days change with it. */
  readonly today: string;
  readonly onEdit: (message: PendingMessage) => void;
}

/**
 * Some neighbouring messages. Far from what is seen the browser skips them, at the height that it measured.
 */
export const MessageChunk = memo(function MessageChunk(props: Props) {
  const { room, chunk, firstUnread, reachable, pictures, onEdit } = props;
  const { me } = useSession();
  const { language, texts } = useLanguage();
  const now = new Date();
  const pictureOf = ({ message, isFirst, isMine }: Arranged) =>
    message.state === "stored" && isFirst && !isMine ? pictures.of(message.senderId) : undefined;
  return (
    <ol className="messages" data-chunk={chunk.key} style={{ "--rows": chunk.messages.length }}>
      {arrange(chunk.messages, me.userId, chunk).map((arranged) => {
        const { key, message, isMine, isFirst, isLast, day } = arranged;
        return (
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
              picture={pictureOf(arranged)}
            />
          </Fragment>
        );
      })}
    </ol>
  );
}, isSame);

function isSame({ chunk: before, ...a }: Props, { chunk: after, ...b }: Props): boolean {
  const values = new Map<string, unknown>(Object.entries(a));
  return isSameChunk(before, after) && Object.entries(b).every(([name, value]) => values.get(name) === value);
}
