import { isSystem, type PendingMessage, type Room, type RoomMessage } from "@nonstop/chat-client";
import { memo } from "react";
import { timeOf } from "./arrange.js";
import { Avatar } from "./avatar.js";
import { timeText } from "./dates.js";
import { errorText } from "./errorText.js";
import { Icon } from "./icons.js";
import { useLanguage, useTexts } from "./language.js";
import { isAddress, piecesOf } from "./links.js";
import { Name, nameOf } from "./name.js";
import { Picture } from "./picture.js";
import { useSession } from "./session.js";
import { SystemRow } from "./systemRow.js";

interface Props {
  readonly id: string;
  readonly room: Room;
  readonly message: RoomMessage;
  readonly isMine: boolean;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  /** The Tab key leads to its menu; the arrow keys go on from there. */
  readonly isReachable: boolean;
  /** The sender's. */
  readonly picture: string | null | undefined;
  readonly onEdit: (message: PendingMessage) => void;
}

/** One message; drawn anew only when something in it changes. */
export const MessageRow = memo(function MessageRow(props: Props) {
  const { id, room, message, isMine, isFirst, isLast, isReachable, picture, onEdit } = props;
  const { me } = useSession();
  const { language, texts } = useLanguage();
  const isStored = message.state === "stored";
  const data = {
    "data-key": id,
    "data-seq": isStored ? message.seq : undefined,
    "data-state": message.state,
    "data-mine": isMine || undefined,
  };
  if (isStored && isSystem(message)) return <SystemRow message={message} data={data} />;
  const sender = isStored && !isMine ? { userId: message.senderId, nickname: message.senderNickname } : me;
  const time = timeText(timeOf(message), language, texts);
  const unread = isStored ? message.unreadCount : 0;
  return (
    <li
      className={`row ${isMine ? "mine" : "theirs"} ${isFirst ? "first" : ""} ${isLast ? "last" : ""}`}
      {...data}
    >
      {!isMine && isFirst && isStored && <Avatar name={sender.nickname} image={picture} />}
      <div className="column">
        {isMine ? (
          <span className="unseen">{texts.you}</span>
        ) : (
          <span className={isFirst ? "sender" : "unseen"}>
            <Name of={sender} />
          </span>
        )}
        <div className="line">
          <Content message={message} sender={nameOf(sender, texts)} />
          <div className="meta">
            {unread > 0 && (
              <span
                className="unreadCount"
                data-testid="unread"
                role="img"
                aria-label={texts.notReadBy(unread)}
              >
                {unread}
              </span>
            )}
            {isStored && (
              // Seen once for each group, but read out with each message.
              <time className={isLast ? "" : "unseen"} dateTime={message.sentAt}>
                {time}
              </time>
            )}
            {!isStored && <State message={message} />}
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
});

function Content({ message, sender }: { readonly message: RoomMessage; readonly sender: string }) {
  const { type, content } = message;
  if (type === "IMAGE" && isAddress(content)) return <Picture address={content} sender={sender} />;
  return (
    <div className="bubble" dir="auto">
      {piecesOf(content).map((piece, index) => {
        if (piece.kind === "text") return piece.text;
        if (piece.kind !== "link")
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: a text's pieces never change
            <code key={index} className={piece.kind}>
              {piece.text}
            </code>
          );
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: as above
          <bdi key={index} className="link">
            <a href={piece.href} target="_blank" rel="noopener noreferrer">
              {piece.text}
            </a>
            {piece.host && <span className="host"> ({piece.host})</span>}
          </bdi>
        );
      })}
    </div>
  );
}

function State({ message: { state } }: { readonly message: PendingMessage }) {
  const texts = useTexts();
  const icon = state === "sending" ? "clock" : state === "accepted" ? "check" : "alert";
  return (
    <span className={`state ${state}`} role="img" aria-label={texts[state]} title={texts[state]}>
      <Icon name={icon} />
    </span>
  );
}

interface RefusedProps {
  readonly room: Room;
  readonly message: PendingMessage;
  readonly onEdit: (message: PendingMessage) => void;
}

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
