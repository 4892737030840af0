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
import { RoundButton } from "./roundButton.js";
import { connectionText, useConnection, useDraft, useIsOffline, useRoomList, useSession } from "./session.js";
import { Settings } from "./settings.js";
import { previewOf } from "./systemText.js";

/** A badge shows no higher number of unread messages. */
const MOST_SHOWN = 99;

interface Props {
  readonly current: number | undefined;
  readonly onOpen: (roomId: number) => void;
  readonly onSignOut: () => void;
}

/** One side of the page: the user, the user's rooms, and what concerns the whole page. */
export function RoomList({ current, onOpen, onSignOut }: Props) {
  const texts = useTexts();
  const rooms = useRoomList();
  return (
    <div className="side">
      <SideHead onOpen={onOpen} onSignOut={onSignOut} />
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
    </div>
  );
}

function SideHead({ onOpen, onSignOut }: Omit<Props, "current">) {
  const { me } = useSession();
  const texts = useTexts();
  const [open, setOpen] = useState<"settings" | "newChat">();
  const close = () => setOpen(undefined);
  return (
    <header className="sideHead">
      <Avatar name={me.nickname} />
      <div className="who">
        <p className="name">
          <Name of={me} />
        </p>
        <ConnectionText />
      </div>
      <RoundButton icon="sliders" label={texts.settings} onClick={() => setOpen("settings")} />
      <RoundButton icon="plus" label={texts.newChat} onClick={() => setOpen("newChat")} />
      {open === "settings" && <Settings onClose={close} onSignOut={onSignOut} />}
      {open === "newChat" && <NewChat onClose={close} onMade={onOpen} />}
    </header>
  );
}

/** It is not read out: the banner does that, because the list isn't always in view. */
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
  const texts = useTexts();
  const { roomId, name, imageUrl, unreadCount, memberCount, type } = room;
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
        <Preview room={room} isCurrent={isCurrent} />
      </span>
      <RoomMeta room={room} />
    </a>
  );
}

/** The draft, in a room that is not open, or the last message. */
function Preview({ room: { roomId, type, lastMessage }, isCurrent }: RowProps) {
  const { me } = useSession();
  const texts = useTexts();
  const draft = useDraft(roomId).trim();
  if (draft !== "" && !isCurrent)
    return (
      <span className="preview" dir="auto">
        <span className="draft">{texts.draft}</span> {draft}
      </span>
    );
  return (
    <span className="preview" dir="auto">
      {lastMessage ? previewOf(lastMessage, me.userId, type === "GROUP", texts) : texts.noMessages}
    </span>
  );
}

/** The time of the last message, and how many messages are unread. */
function RoomMeta({ room: { lastMessage, unreadCount } }: Pick<RowProps, "room">) {
  const { language, texts } = useLanguage();
  return (
    <span className="roomMeta">
      {lastMessage && (
        <time dateTime={lastMessage.sentAt}>
          {shortText(new Date(lastMessage.sentAt), new Date(), language, texts)}
        </time>
      )}
      {unreadCount > 0 && (
        <span className="badge">
          <span aria-hidden="true">{unreadCount > MOST_SHOWN ? `${MOST_SHOWN}+` : unreadCount}</span>
          <span className="unseen">{texts.unread(unreadCount)}</span>
        </span>
      )}
    </span>
  );
}
