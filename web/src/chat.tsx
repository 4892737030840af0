import { useEffect, useRef } from "react";
import { Banner } from "./banner.js";
import { REFUSED_FILE } from "./files.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { useTelling } from "./notices.js";
import { Reporting, useTell } from "./reporting.js";
import { RoomList } from "./roomList.js";
import { RoomView } from "./roomView.js";
import { useRoute } from "./route.js";
import { NARROW } from "./screen.js";
import { useConnection, useRoomList } from "./session.js";

/** The chat of a user who has signed in. */
export function Chat({ onSignOut }: { readonly onSignOut: () => void }) {
  const texts = useTexts();
  const [roomId, goTo] = useRoute();
  useFocusOnPhones(roomId);
  useTelling(roomId, goTo);
  useTitle();
  useConnectionOnBody();
  return (
    <main className="app" data-view={roomId === undefined ? "list" : "room"}>
      <Reporting>
        <RefusedFiles />
        <h1 className="unseen">{texts.appName}</h1>
        {/* Not a link: the hash of the page's address names the room. */}
        <button
          type="button"
          className="skip"
          onClick={() => document.getElementById("conversation")?.focus()}
        >
          {texts.skipToRoom}
        </button>
        <Banner />
        <RoomList current={roomId} onOpen={goTo} onSignOut={onSignOut} />
        <div id="conversation" className="conversation" tabIndex={-1}>
          {roomId === undefined ? (
            <NoRoom />
          ) : (
            <RoomView key={roomId} roomId={roomId} onBack={() => goTo(undefined)} />
          )}
        </div>
      </Reporting>
    </main>
  );
}

/** Shows in the page's title how many messages are unread. */
function useTitle(): void {
  const texts = useTexts();
  const unread = (useRoomList() ?? []).reduce((sum, room) => sum + room.unreadCount, 0);
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) ${texts.appName}` : texts.appName;
    return () => {
      document.title = texts.appName;
    };
  }, [unread, texts]);
}

/** Shows the connection's status as an attribute, for tests. */
function useConnectionOnBody(): void {
  const { status } = useConnection();
  useEffect(() => {
    document.body.dataset["connection"] = status;
    return () => {
      delete document.body.dataset["connection"];
    };
  }, [status]);
}

function NoRoom() {
  const texts = useTexts();
  return (
    <div className="empty">
      <span className="emptyIcon">
        <Icon name="chat" />
      </span>
      <p>
        <strong>{texts.chooseRoom}</strong>
        <br />
        {texts.chooseRoomHint}
      </p>
    </div>
  );
}

/** Tells the user when a file was dropped on the page. */
function RefusedFiles() {
  const texts = useTexts();
  const tell = useTell();
  useEffect(() => {
    const refused = () => tell(texts.noFiles);
    window.addEventListener(REFUSED_FILE, refused);
    return () => window.removeEventListener(REFUSED_FILE, refused);
  }, [texts, tell]);
  return null;
}

/** On a screen that shows one side at a time, the focus goes to the side that comes into view. */
function useFocusOnPhones(roomId: number | undefined): void {
  const before = useRef(roomId);
  useEffect(() => {
    const closed = before.current;
    before.current = roomId;
    if (closed === roomId || !matchMedia(NARROW).matches) return;
    const row = `[data-room-id="${closed}"]`;
    document.querySelector<HTMLElement>(roomId === undefined ? row : "#conversation")?.focus();
  }, [roomId]);
}
