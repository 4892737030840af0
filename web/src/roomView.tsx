import type { ConnectionState, PendingMessage, Room, RoomSummary } from "@nonstop/chat-client";
import { useCallback, useEffect, useState } from "react";
import { Avatar } from "./avatar.js";
import { Composer } from "./composer.js";
import { Question } from "./dialog.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { MembersDialog } from "./membersDialog.js";
import { MessageList } from "./messageList.js";
import { Phrase } from "./name.js";
import { shownName } from "./names.js";
import { useReport } from "./reporting.js";
import { useConnection, useIsOffline, useMessages, useRoom, useRoomList, useSession } from "./session.js";
import type { Texts } from "./texts/en.js";

const AGAIN_MS = 1_000;
const MOST_DOUBLINGS = 5;

interface Props {
  readonly roomId: number;
  readonly onBack: () => void;
}

export function RoomView({ roomId, onBack }: Props) {
  const [opening, setOpening] = useState(0);
  const room = useRoom(roomId, opening);
  const summary = useRoomList()?.find((one) => one.roomId === roomId);
  const onAgain = useCallback(() => setOpening((before) => before + 1), []);
  // Opened in an effect, so not there for the very first drawing.
  return room ? <OpenRoom key={opening} {...{ room, summary, opening, onBack, onAgain }} /> : null;
}

/** Whoever was removed and is in the room's list again, or invited to what they had open, sees the room come back. */
function useComingBack(room: Room, isListed: boolean, opening: number, onAgain: () => void): void {
  const isGone = room.status === "gone";
  useEffect(() => {
    if (!isGone || !isListed) return;
    // The list may not have heard of the removal yet, or another reason may last.
    const timer = setTimeout(onAgain, AGAIN_MS * 2 ** Math.min(opening, MOST_DOUBLINGS));
    return () => clearTimeout(timer);
  }, [isGone, isListed, opening, onAgain]);
}

interface OpenProps {
  readonly room: Room;
  readonly summary: RoomSummary | undefined;
  readonly onBack: () => void;
}

interface OpeningProps extends OpenProps {
  /** How often the room was opened anew. */
  readonly opening: number;
  readonly onAgain: () => void;
}

function OpenRoom({ room, summary, onBack, opening, onAgain }: OpeningProps) {
  const texts = useTexts();
  useMessages(room);
  useComingBack(room, summary !== undefined, opening, onAgain);
  const name = shownName(summary?.name) ?? texts.conversation;
  const [editing, setEditing] = useState<PendingMessage>();
  const stopEditing = useCallback(() => setEditing(undefined), []);
  // It may be discarded, or sent again, meanwhile.
  const edited = room.messages.find(
    (one): one is PendingMessage =>
      one.state === "refused" && one.clientMessageId === editing?.clientMessageId,
  );
  return (
    <section className="room" aria-label={name}>
      <RoomHead room={room} summary={summary} onBack={onBack} />
      {room.status === "gone" ? (
        <div className="empty">
          <p role="alert">{room.messages.length > 0 ? texts.gone : texts.noSuchRoom}</p>
          <button type="button" className="primary" onClick={onBack}>
            {texts.back}
          </button>
        </div>
      ) : (
        <>
          <MessageList room={room} name={name} imageUrl={imageOfTwo(summary)} onEdit={setEditing} />
          <Composer
            key={edited?.clientMessageId ?? "new"}
            room={room}
            editing={edited}
            onDone={stopEditing}
          />
        </>
      )}
    </section>
  );
}

/** In a room of two the picture is the other one's. */
const imageOfTwo = (summary: RoomSummary | undefined) =>
  summary?.type === "ONE_TO_ONE" ? summary.imageUrl : undefined;

function RoomHead({ room, summary, onBack }: OpenProps) {
  const { client } = useSession();
  const texts = useTexts();
  const report = useReport();
  const [open, setOpen] = useState<"members" | "leave">();
  const { status } = useConnection();
  const isOffline = useIsOffline() && status === "waiting";
  const isGroup = summary?.type === "GROUP";
  const name = shownName(summary?.name) ?? texts.conversation;
  const close = () => setOpen(undefined);
  const leave = () => {
    close();
    client.leave(room.roomId).then(onBack, report);
  };
  return (
    <header className="roomHead">
      <button type="button" className="round back" aria-label={texts.back} onClick={onBack}>
        <Icon name="back" />
      </button>
      {summary && <Avatar name={summary.name ?? ""} image={summary.imageUrl} />}
      <div className="who">
        <h2>
          <bdi>{name}</bdi>
        </h2>
        <p className="muted">{isOffline ? texts.offline : subtitle(summary, status, texts)}</p>
      </div>
      {summary && room.status !== "gone" && (
        <button
          type="button"
          className="round"
          aria-label={isGroup ? texts.roomMenu : texts.leave}
          title={isGroup ? texts.roomMenu : texts.leave}
          onClick={() => setOpen(isGroup ? "members" : "leave")}
        >
          <Icon name={isGroup ? "people" : "leave"} />
        </button>
      )}
      {open === "members" && summary && (
        <MembersDialog room={room} summary={summary} onClose={close} onLeave={() => setOpen("leave")} />
      )}
      {open === "leave" && (
        <Question
          question={<Phrase text={texts.leaveQuestion} names={[name]} />}
          hint={isGroup ? texts.leaveGroupHint : texts.leaveHint}
          yes={texts.leave}
          onYes={leave}
          onNo={close}
        />
      )}
    </header>
  );
}

/** On a phone nothing else tells that the connection is on its way. */
function subtitle(
  summary: RoomSummary | undefined,
  status: ConnectionState["status"],
  texts: Texts,
): string | undefined {
  if (status === "connecting" || status === "waiting") return texts.connecting;
  return summary?.type === "GROUP" ? texts.members(summary.memberCount) : undefined;
}
