import type { PendingMessage, Room, RoomSummary } from "@nonstop/chat-client";
import { useCallback, useEffect, useState } from "react";
import { Composer } from "./composer.js";
import { useTexts } from "./language.js";
import { MessageList } from "./messageList.js";
import { shownName } from "./names.js";
import { RoomHead } from "./roomHead.js";
import { useMessages, useRoom, useRoomList } from "./session.js";

/** Before a gone room is opened again for the first time; each further time is twice as long, up to 32 s. */
const AGAIN_MS = 1_000;
const MOST_DOUBLINGS = 5;

interface Props {
  readonly roomId: number;
  readonly onBack: () => void;
}

/** One room: its head, its messages, and where the user writes. */
export function RoomView({ roomId, onBack }: Props) {
  const [opening, setOpening] = useState(0);
  const room = useRoom(roomId, opening);
  const summary = useRoomList()?.find((one) => one.roomId === roomId);
  const onAgain = useCallback(() => setOpening((before) => before + 1), []);
  // The room is opened in an effect, after the first rendering.
  return room ? <OpenRoom key={opening} {...{ room, summary, opening, onBack, onAgain }} /> : null;
}

/**
 * Opens a room again that was gone, when it is in the list of rooms: the user was invited, or invited again.
 */
function useComingBack(room: Room, isListed: boolean, opening: number, onAgain: () => void): void {
  const isGone = room.status === "gone";
  useEffect(() => {
    if (!isGone || !isListed) return;
    // Each try waits longer: the list may not know of the removal yet, or the room is refused for good.
    const timer = setTimeout(onAgain, AGAIN_MS * 2 ** Math.min(opening, MOST_DOUBLINGS));
    return () => clearTimeout(timer);
  }, [isGone, isListed, opening, onAgain]);
}

interface OpenProps {
  readonly room: Room;
  readonly summary: RoomSummary | undefined;
  /** How often the room was opened again. */
  readonly opening: number;
  readonly onBack: () => void;
  readonly onAgain: () => void;
}

function OpenRoom({ room, summary, onBack, opening, onAgain }: OpenProps) {
  const texts = useTexts();
  useMessages(room);
  useComingBack(room, summary !== undefined, opening, onAgain);
  const name = shownName(summary?.name) ?? texts.conversation;
  const [editing, setEditing] = useState<PendingMessage>();
  const stopEditing = useCallback(() => setEditing(undefined), []);
  // The message may have been discarded, or sent again, from its row.
  const edited = room.messages.find(
    (one): one is PendingMessage =>
      one.state === "refused" && one.clientMessageId === editing?.clientMessageId,
  );
  return (
    <section className="room" aria-label={name}>
      <RoomHead room={room} summary={summary} onBack={onBack} />
      {room.status === "gone" ? (
        <Gone wasOpen={room.messages.length > 0} onBack={onBack} />
      ) : (
        <>
          <MessageList room={room} name={name} imageUrl={imageOfTwo(summary)} onEdit={setEditing} />
          <Composer
            key={edited?.clientMessageId ?? "new"}
            room={room}
            editing={edited}
            onEdited={stopEditing}
          />
        </>
      )}
    </section>
  );
}

/** In a room of two the picture is the other user's. */
const imageOfTwo = (summary: RoomSummary | undefined) =>
  summary?.type === "ONE_TO_ONE" ? summary.imageUrl : undefined;

function Gone({ wasOpen, onBack }: { readonly wasOpen: boolean; readonly onBack: () => void }) {
  const texts = useTexts();
  return (
    <div className="empty">
      <p role="alert">{wasOpen ? texts.gone : texts.noSuchRoom}</p>
      <button type="button" className="primary" onClick={onBack}>
        {texts.back}
      </button>
    </div>
  );
}
