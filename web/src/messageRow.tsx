import {
  isSystem,
  type PendingMessage,
  type Room,
  type RoomMessage,
  type StoredMessage,
} from "@nonstop/chat-client";
import { memo } from "react";
import { timeOf } from "./arrange.js";
import { Avatar } from "./avatar.js";
import { timeText } from "./dates.js";
import { errorText } from "./errorText.js";
import { Icon } from "./icons.js";
import { useLanguage, useTexts } from "./language.js";
import { MessageContent } from "./messageContent.js";
import { Name, type Named, nameOf } from "./name.js";
import { useSession } from "./session.js";
import { SystemRow } from "./systemRow.js";

interface Props {
  readonly id: string;
  readonly room: Room;
  readonly message: RoomMessage;
  readonly isMine: boolean;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  /** The Tab key leads to its menu button; from there the arrow keys lead to the others. */
  readonly isReachable: boolean;
  /** The sender's picture. */
  readonly picture: string | null | undefined;
  readonly onEdit: (message: PendingMessage) => void;
}

/** One message. It is rendered again only when one of its properties changes. */
export const MessageRow = memo(function MessageRow(props: Props) {
  const { message } = props;
  const isStored = message.state === "stored";
  if (isStored && isSystem(message)) return <SystemRow message={message} data={dataOf(props)} />;
  return <UserRow {...props} />;
});

/** The attributes by which the page finds the row of a message. */
const dataOf = ({ id, message, isMine }: Props) => ({
  "data-key": id,
  "data-seq": message.state === "stored" ? message.seq : undefined,
  "data-state": message.state,
  "data-mine": isMine || undefined,
});

function UserRow(props: Props) {
  const { room, message, isMine, isFirst, isLast, isReachable, picture, onEdit } = props;
  const { me } = useSession();
  const { language, texts } = useLanguage();
  const isStored = message.state === "stored";
  const sender = isStored && !isMine ? { userId: message.senderId, nickname: message.senderNickname } : me;
  const time = timeText(timeOf(message), language, texts);
  return (
    <li
      className={`row ${isMine ? "mine" : "theirs"} ${isFirst ? "first" : ""} ${isLast ? "last" : ""}`}
      {...dataOf(props)}
    >
      {!isMine && isFirst && isStored && <Avatar name={sender.nickname} image={picture} />}
      <div className="column">
        <Sender sender={isMine ? undefined : sender} isFirst={isFirst} />
        <div className="line">
          <MessageContent message={message} sender={nameOf(sender, texts)} />
          <div className="meta">
            {isStored ? (
              <StoredMeta message={message} time={time} isLast={isLast} />
            ) : (
              <State state={message.state} />
            )}
          </div>
          <button
            type="button"
            className="more"
            aria-haspopup="menu"
            aria-label={texts.messageMenu(isMine ? texts.you : nameOf(sender, texts), time)}
            tabIndex={isReachable ? 0 : -1}
          />
        </div>
        {message.state === "refused" && <Refused room={room} message={message} onEdit={onEdit} />}
      </div>
    </li>
  );
}

/**
 * Undefined stands for the user. The name is seen above the first message of a group, and read out with each.
 */
function Sender({ sender, isFirst }: { readonly sender: Named | undefined; readonly isFirst: boolean }) {
  const texts = useTexts();
  if (!sender) return <span className="unseen">{texts.you}</span>;
  return (
    <span className={isFirst ? "sender" : "unseen"}>
      <Name of={sender} />
    </span>
  );
}

interface StoredMetaProps {
  readonly message: StoredMessage;
  readonly time: string;
  readonly isLast: boolean;
}

/** How many have not read the message, and when it was sent. */
function StoredMeta({ message: { unreadCount, sentAt }, time, isLast }: StoredMetaProps) {
  const texts = useTexts();
  return (
    <>
      {unreadCount > 0 && (
        <span
          className="unreadCount"
          data-testid="unread"
          role="img"
          aria-label={texts.notReadBy(unreadCount)}
        >
          {unreadCount}
        </span>
      )}
      {/* The time is seen below the last message of a group, and read out with each. */}
      <time className={isLast ? "" : "unseen"} dateTime={sentAt}>
        {time}
      </time>
    </>
  );
}

const STATE_ICONS = { sending: "clock", accepted: "check", refused: "alert" } as const;

function State({ state }: Pick<PendingMessage, "state">) {
  const texts = useTexts();
  return (
    <span className={`state ${state}`} role="img" aria-label={texts[state]} title={texts[state]}>
      <Icon name={STATE_ICONS[state]} />
    </span>
  );
}

interface RefusedProps {
  readonly room: Room;
  readonly message: PendingMessage;
  readonly onEdit: (message: PendingMessage) => void;
}

/** Why the message was refused, and what the user can do. */
function Refused({ room, message, onEdit }: RefusedProps) {
  const texts = useTexts();
  const { clientMessageId, error } = message;
  return (
    <div className="refusal">
      <span>{errorText(error, texts)}</span>
      <span className="choices">
        <button type="button" className="quiet" onClick={() => onEdit(message)}>
          {texts.edit}
        </button>
        <button type="button" className="quiet" onClick={() => room.retry(clientMessageId)}>
          {texts.retry}
        </button>
        <button type="button" className="quiet" onClick={() => room.discard(clientMessageId)}>
          {texts.discard}
        </button>
      </span>
    </div>
  );
}
