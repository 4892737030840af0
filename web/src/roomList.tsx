import type { LastMessage, RoomSummary } from "@nonstop/chat-client";
import { useState } from "react";
import { Avatar } from "./avatar.js";
import { shortText } from "./dates.js";
import { Icon } from "./icons.js";
import { useLanguage, useTexts } from "./language.js";
import { LanguageSwitch } from "./languageSwitch.js";
import { NewChat } from "./newChat.js";
import { connectionText, useConnection, useRoomList, useSession } from "./session.js";
import type { Texts } from "./texts/en.js";

interface Props {
  readonly current: number | undefined;
  readonly onOpen: (roomId: number) => void;
  readonly onSignOut: () => void;
}

export function RoomList({ current, onOpen, onSignOut }: Props) {
  const { me } = useSession();
  const texts = useTexts();
  const rooms = useRoomList();
  const [isMaking, setMaking] = useState(false);
  return (
    <div className="side">
      <header className="sideHead">
        <Avatar name={me.nickname} />
        <div className="who">
          <p className="name">{me.nickname}</p>
          <ConnectionText />
        </div>
        <button
          type="button"
          className="round"
          aria-label={texts.newChat}
          title={texts.newChat}
          onClick={() => setMaking(true)}
        >
          <Icon name="plus" />
        </button>
      </header>
      <nav aria-label={texts.rooms} className="rooms">
        {rooms === undefined && <p className="hint">{texts.loading}</p>}
        {rooms?.length === 0 && <p className="hint">{texts.noRooms}</p>}
        <ul>
          {rooms?.map((room) => (
            <li key={room.roomId}>
              <RoomRow room={room} isCurrent={room.roomId === current} />
            </li>
          ))}
        </ul>
      </nav>
      <footer className="sideFoot">
        <LanguageSwitch />
        <button type="button" className="quiet" onClick={onSignOut}>
          <Icon name="leave" />
          {texts.signOut}
        </button>
      </footer>
      {isMaking && <NewChat onClose={() => setMaking(false)} onMade={onOpen} />}
    </div>
  );
}

/** The banner reads it out: the list isn't always in view. */
function ConnectionText() {
  const texts = useTexts();
  const { status } = useConnection();
  return (
    <p className="status" data-status={status}>
      {connectionText(status, texts)}
    </p>
  );
}

interface RowProps {
  readonly room: RoomSummary;
  readonly isCurrent: boolean;
}

function RoomRow({ room, isCurrent }: RowProps) {
  const { me } = useSession();
  const { language, texts } = useLanguage();
  const { roomId, name, imageUrl, lastMessage, unreadCount, memberCount, type } = room;
  return (
    <a
      className="roomRow"
      href={`#/rooms/${roomId}`}
      data-room-id={roomId}
      data-unread={unreadCount > 0 || undefined}
      aria-current={isCurrent ? "page" : undefined}
    >
      <Avatar name={name ?? ""} image={imageUrl} />
      <span className="roomText">
        <span className="roomName">
          <strong>{name}</strong>
          {type === "GROUP" && (
            <span className="count">
              <span aria-hidden="true">{memberCount}</span>
              <span className="unseen">{texts.members(memberCount)}</span>
            </span>
          )}
        </span>
        <span className="preview">{previewOf(lastMessage, me.userId, texts)}</span>
      </span>
      <span className="roomMeta">
        {lastMessage && (
          <time dateTime={lastMessage.sentAt}>
            {shortText(new Date(lastMessage.sentAt), new Date(), language, texts)}
          </time>
        )}
        {unreadCount > 0 && (
          <span className="badge">
            <span aria-hidden="true">{unreadCount > 99 ? "99+" : unreadCount}</span>
            <span className="unseen">{texts.unread(unreadCount)}</span>
          </span>
        )}
      </span>
    </a>
  );
}

function previewOf(message: LastMessage | null, me: number, texts: Texts): string {
  if (!message) return texts.noMessages;
  switch (message.type) {
    case "SYSTEM_INVITE":
      return texts.systemInvite;
    case "SYSTEM_LEAVE":
      return texts.systemLeave;
    case "SYSTEM_KICK":
      return texts.systemKick;
    default:
      return `${message.senderId === me ? texts.youPrefix : ""}${message.type === "IMAGE" ? texts.picture : message.content}`;
  }
}
