import type { ChatError } from "@nonstop/chat-client";
import { useEffect, useState } from "react";
import { caught } from "./caught.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { useReport } from "./reporting.js";
import {
  connectionText,
  useConnection,
  useIsOffline,
  useNow,
  useSendingPaused,
  useSession,
} from "./session.js";
import type { Texts } from "./texts/en.js";

/**
 * Says why the user can't chat: there is no connection, the session has ended, or a limit was reached. It
 * also reports the errors that no call of the client rejects with.
 */
export function Banner() {
  const { client } = useSession();
  const texts = useTexts();
  const connection = useConnection();
  const isOffline = useIsOffline();
  const pausedUntil = useSendingPaused();
  const report = useReport();
  useEffect(() => client.on("error", report), [client, report]);
  // A failure is shown by the connection's state.
  const connect = () => void client.connect().catch(caught);
  return (
    <div className="banners">
      <p className="unseen" role="status">
        {isOffline && connection.status === "waiting"
          ? texts.offline
          : connectionText(connection.status, texts)}
      </p>
      {connection.status === "closed" && (
        <section className="banner closed" role="alert">
          <Icon name="alert" />
          <p>
            <strong>{texts.closedTitle}</strong> {whyClosed(connection.error, texts)}
          </p>
          <button type="button" className="primary" onClick={connect}>
            {texts.useHere}
          </button>
        </section>
      )}
      {connection.status === "waiting" && isOffline && <Offline />}
      {connection.status === "waiting" && !isOffline && (
        <Waiting key={connection.retryAt} retryAt={connection.retryAt} onNow={connect} />
      )}
      {pausedUntil !== undefined && <Paused key={pausedUntil} until={pausedUntil} />}
    </div>
  );
}

/** The device has no network: there is no button to try again. */
function Offline() {
  const texts = useTexts();
  return (
    <section className="banner" aria-label={texts.offline} data-testid="offline">
      <Icon name="offline" />
      <p>
        <strong>{texts.offline}</strong> {texts.offlineHint}
      </p>
    </section>
  );
}

function Waiting({ retryAt, onNow }: { readonly retryAt: number; readonly onNow: () => void }) {
  const texts = useTexts();
  const seconds = Math.max(Math.ceil((retryAt - useNow()) / 1_000), 0);
  return (
    <section className="banner" aria-label={texts.connecting}>
      <p>{texts.waiting(seconds)}</p>
      <button type="button" className="quiet" onClick={onNow}>
        {texts.now}
      </button>
    </section>
  );
}

function Paused({ until }: { readonly until: number }) {
  const texts = useTexts();
  const text = texts.rateLimit(Math.max(Math.ceil((until - useNow()) / 1_000), 0));
  // It is read out once, with the seconds of that moment, and not each second.
  const [spoken] = useState(text);
  return (
    <section className="banner" data-testid="rate-limit">
      <Icon name="clock" />
      <p role="timer">{text}</p>
      <p className="unseen" role="alert">
        {spoken}
      </p>
    </section>
  );
}

function whyClosed({ reason }: ChatError, texts: Texts): string {
  if (reason === "SESSION_LIMIT") return texts.closedLimit;
  if (reason === "DEVICE_RECONNECTED") return texts.closedDevice;
  return reason === "LOGGED_OUT" ? texts.closedLogout : texts.closedIdentity;
}
