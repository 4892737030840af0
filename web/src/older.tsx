import type { Room, RoomMessage } from "@nonstop/chat-client";
import { type RefObject, useCallback, useEffect, useRef, useState } from "react";
import { caught } from "./caught.js";
import { useTexts } from "./language.js";

interface Props {
  readonly room: Room;
  /** Pages are loaded only when the log shows what it begins with. */
  readonly isReady: boolean;
  readonly first: RoomMessage | undefined;
  readonly log: RefObject<HTMLElement | null>;
}

/** The top of the log. It loads the page before when it comes near, and says how that went. */
export function Older({ room, isReady, first, log }: Props) {
  const texts = useTexts();
  const [hasFailed, setFailed] = useState(false);
  const top = useRef<HTMLDivElement>(null);
  const load = useCallback(() => {
    setFailed(false);
    room.loadOlder().catch((thrown) => {
      caught(thrown);
      setFailed(true);
    });
  }, [room]);
  const mayLoad = isReady && room.hasOlder && !hasFailed;
  const seq = first?.state === "stored" ? first.seq : 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: after a page has come the top may still be near
  useEffect(() => {
    if (!mayLoad) return;
    // A busy browser reports several crossings at once, the latest last; no other report follows while the
    // top stays in view.
    const observer = new IntersectionObserver((entries) => entries.at(-1)?.isIntersecting && load(), {
      root: log.current,
      rootMargin: "600px 0px 0px 0px",
    });
    observer.observe(top.current!);
    return () => observer.disconnect();
  }, [mayLoad, seq, load, log]);
  return (
    <div ref={top} className="older">
      {!isReady && room.status !== "gone" && <p>{texts.loading}</p>}
      {mayLoad && <p>{texts.loadingOlder}</p>}
      {isReady && !room.hasOlder && <p>{texts.oldest}</p>}
      {hasFailed && (
        <button type="button" className="quiet" onClick={load}>
          {texts.tryAgain}
        </button>
      )}
    </div>
  );
}
