import { useCallback, useEffect, useRef, useState } from "react";
import { Banner } from "./banner.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { RoomList } from "./roomList.js";
import { RoomView } from "./roomView.js";
import { useRoute } from "./route.js";
import { ReportProvider, useConnection, useRoomList } from "./session.js";

const TOAST_MS = 8_000;

export function Chat({ onSignOut }: { readonly onSignOut: () => void }) {
  const texts = useTexts();
  const connection = useConnection();
  const rooms = useRoomList();
  const [roomId, goTo] = useRoute();
  const [toast, setToast] = useState<string>();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const report = useCallback(
    (error: Error) => {
      clearTimeout(timer.current);
      setToast(texts.toast(error.message));
      timer.current = setTimeout(() => setToast(undefined), TOAST_MS);
    },
    [texts],
  );

  const unread = (rooms ?? []).reduce((sum, room) => sum + room.unreadCount, 0);
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) ${texts.appName}` : texts.appName;
  }, [unread, texts]);
  useEffect(() => {
    document.body.dataset["connection"] = connection.status;
    return () => {
      delete document.body.dataset["connection"];
    };
  }, [connection.status]);

  return (
    <ReportProvider value={report}>
      <main className="app" data-view={roomId === undefined ? "list" : "room"}>
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
              <Icon name="chat" />
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
        <p className="toast" role="status" hidden={toast === undefined}>
          {toast}
        </p>
      </main>
    </ReportProvider>
  );
}
