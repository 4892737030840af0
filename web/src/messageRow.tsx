import type { PendingMessage, Room, RoomMessage } from "@nonstop/chat-client";
import { memo } from "react";
import { timeOf } from "./arrange.js";
import { Avatar } from "./avatar.js";
import { timeText } from "./dates.js";
import { errorText } from "./errorText.js";
import { Icon } from "./icons.js";
import { useLanguage, useTexts } from "./language.js";
import { isAddress, piecesOf } from "./links.js";
import { useSession } from "./session.js";
import { systemText } from "./systemText.js";

interface Props {
  readonly room: Room;
  readonly message: RoomMessage;
  readonly isMine: boolean;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** One message; drawn anew only when something in it changes. */
export const MessageRow = memo(function MessageRow({ room, message, isMine, isFirst, isLast }: Props) {
  const { me } = useSession();
  const { language, texts } = useLanguage();
  const isStored = message.state === "stored";
  const data = {
    "data-seq": isStored ? message.seq : undefined,
    "data-state": message.state,
    "data-mine": isMine || undefined,
  };
  const system = isStored ? systemText(message, texts) : undefined;
  if (system !== undefined)
    return (
      <li className="system" {...data}>
        <span>{system}</span>
      </li>
    );
  const sender = isStored && !isMine ? message.senderNickname : me.nickname;
  const time = timeOf(message);
  const unread = isStored ? message.unreadCount : 0;
  return (
    <li
      className={`row ${isMine ? "mine" : "theirs"} ${isFirst ? "first" : ""} ${isLast ? "last" : ""}`}
      {...data}
    >
      {!isMine && isFirst && isStored && <Avatar name={sender} />}
      <div className="column">
        {isMine ? (
          <span className="unseen">{texts.you}</span>
        ) : (
          <span className={isFirst ? "sender" : "unseen"}>{sender}</span>
        )}
        <div className="line">
          <Content message={message} sender={sender} />
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
                {timeText(time, language, texts)}
              </time>
            )}
            {!isStored && <State message={message} />}
          </div>
        </div>
        {message.state === "refused" && <Refused room={room} message={message} />}
      </div>
    </li>
  );
});

function Content({ message, sender }: { readonly message: RoomMessage; readonly sender: string }) {
  const texts = useTexts();
  const { type, content } = message;
  if (type === "IMAGE" && isAddress(content))
    return (
      <a className="bubble picture" href={content} target="_blank" rel="noopener noreferrer">
        <img src={content} alt={texts.pictureAlt(sender)} loading="lazy" referrerPolicy="no-referrer" />
      </a>
    );
  return (
    <div className="bubble" dir="auto">
      {piecesOf(content).map(({ text, href }, index) =>
        href ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: a text's pieces never change
          <a key={index} href={href} target="_blank" rel="noopener noreferrer">
            {text}
          </a>
        ) : (
          text
        ),
      )}
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

function Refused({ room, message }: { readonly room: Room; readonly message: PendingMessage }) {
  const texts = useTexts();
  const { clientMessageId, error } = message;
  return (
    <div className="refusal">
      <span>{errorText(error, texts)}</span>
      <span className="choices">
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
