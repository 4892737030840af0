import type { RoomSummary } from "@nonstop/chat-client";
import { useState } from "react";
import { Avatar } from "./avatar.js";
import { shortText } from "./dates.js";
import { Icon } from "./icons.js";
import { useLanguage, useTexts } from "./language.js";
import { LanguageSwitch } from "./languageSwitch.js";
import { Name } from "./name.js";
import { shownName } from "./names.js";
import { NewChat } from "./newChat.js";
import { connectionText, useConnection, useDraft, useIsOffline, useRoomList, useSession } from "./session.js";
import { Settings } from "./settings.js";
import { previewOf } from "./systemText.js";

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
  const [isSetting, setSetting] = useState(false);
  return (
    <div className="side">
      <header className="sideHead">
        <Avatar name={me.nickname} />
        <div className="who">
          <p className="name">
            <Name of={me} />
          </p>
          <ConnectionText />
        </div>
        <button
          type="button"
          className="round"
          aria-label={texts.settings}
          title={texts.settings}
          onClick={() => setSetting(true)}
        >
          <Icon name="sliders" />
        </button>
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
      {isSetting && <Settings onClose={() => setSetting(false)} onSignOut={onSignOut} />}
      {isMaking && <NewChat onClose={() => setMaking(false)} onMade={onOpen} />}
    </div>
  );
}

/** The banner reads it out: the list isn't always in view. */
function ConnectionText() {
  const texts = useTexts();
  const { status } = useConnection();
  const isOffline = useIsOffline() && status === "waiting";
  return (
    <p className="status" data-status={status}>
      {isOffline ? texts.offline : connectionText(status, texts)}
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
  const draft = useDraft(room.roomId).trim();
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
          <strong>
            <bdi>{shownName(name) ?? texts.conversation}</bdi>
          </strong>
          {type === "GROUP" && (
            <span className="count">
              <span aria-hidden="true">{memberCount}</span>
              <span className="unseen">{texts.members(memberCount)}</span>
            </span>
          )}
        </span>
        <span className="preview" dir="auto">
          {draft !== "" && !isCurrent ? (
            <>
              <span className="draft">{texts.draft}</span> {draft}
            </>
          ) : lastMessage ? (
            previewOf(lastMessage, me.userId, type === "GROUP", texts)
          ) : (
            texts.noMessages
          )}
        </span>
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
