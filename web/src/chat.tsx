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

export function Chat({ onSignOut }: { readonly onSignOut: () => void }) {
  const texts = useTexts();
  const connection = useConnection();
  const rooms = useRoomList();
  const [roomId, goTo] = useRoute();
  useFocusOnPhones(roomId);
  useTelling(roomId, goTo);

  const unread = (rooms ?? []).reduce((sum, room) => sum + room.unreadCount, 0);
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) ${texts.appName}` : texts.appName;
    return () => {
      document.title = texts.appName;
    };
  }, [unread, texts]);
  useEffect(() => {
    document.body.dataset["connection"] = connection.status;
    return () => {
      delete document.body.dataset["connection"];
    };
  }, [connection.status]);

  return (
    <main className="app" data-view={roomId === undefined ? "list" : "room"}>
      <Reporting>
        <RefusedFiles />
        <h1 className="unseen">{texts.appName}</h1>
        {/* No link: the address' hash names the room. */}
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
          ) : (
            <RoomView key={roomId} roomId={roomId} onBack={() => goTo(undefined)} />
          )}
        </div>
      </Reporting>
    </main>
  );
}

/** Says so when a file was dropped on the page. */
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

/** Where only one side is shown, what had the focus goes with the other side. */
function useFocusOnPhones(roomId: number | undefined): void {
  const before = useRef(roomId);
  useEffect(() => {
    const left = before.current;
    before.current = roomId;
    if (left === roomId || !matchMedia(NARROW).matches) return;
    const row = `[data-room-id="${left}"]`;
    document.querySelector<HTMLElement>(roomId === undefined ? row : "#conversation")?.focus();
  }, [roomId]);
}
