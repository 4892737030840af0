import type { ConnectionState, Room, RoomSummary } from "@nonstop/chat-client";
import { useState } from "react";
import { Avatar } from "./avatar.js";
import { Question } from "./dialog.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { MembersDialog } from "./membersDialog.js";
import { Phrase } from "./name.js";
import { shownName } from "./names.js";
import { useReport } from "./reporting.js";
import { RoundButton } from "./roundButton.js";
import { useConnection, useIsOffline, useSession } from "./session.js";
import type { Texts } from "./texts/en.js";

interface Props {
  readonly room: Room;
  /** Undefined while the room is not in the list of rooms. */
  readonly summary: RoomSummary | undefined;
  readonly onBack: () => void;
}

/** A room's name and picture, and what the user can do with the room. */
export function RoomHead({ room, summary, onBack }: Props) {
  const texts = useTexts();
  return (
    <header className="roomHead">
      <button type="button" className="round back" aria-label={texts.back} onClick={onBack}>
        <Icon name="back" />
      </button>
      {summary && <Avatar name={summary.name ?? ""} image={summary.imageUrl} />}
      <div className="who">
        <h2>
          <bdi>{shownName(summary?.name) ?? texts.conversation}</bdi>
        </h2>
        <Subtitle summary={summary} />
      </div>
      <Actions room={room} summary={summary} onLeft={onBack} />
    </header>
  );
}

/** The connection, because a phone shows it nowhere else, or how many members a group has. */
function Subtitle({ summary }: Pick<Props, "summary">) {
  const texts = useTexts();
  const { status } = useConnection();
  const isOffline = useIsOffline() && status === "waiting";
  return <p className="muted">{isOffline ? texts.offline : subtitle(summary, status, texts)}</p>;
}

function subtitle(
  summary: RoomSummary | undefined,
  status: ConnectionState["status"],
  texts: Texts,
): string | undefined {
  if (status === "connecting" || status === "waiting") return texts.connecting;
  return summary?.type === "GROUP" ? texts.members(summary.memberCount) : undefined;
}

interface ActionsProps extends Omit<Props, "onBack"> {
  readonly onLeft: () => void;
}

/** A group has members and settings, and the user leaves it there. A room of two can only be left. */
function Actions({ room, summary, onLeft }: ActionsProps) {
  const { client } = useSession();
  const texts = useTexts();
  const report = useReport();
  const [open, setOpen] = useState<"members" | "leave">();
  const isGroup = summary?.type === "GROUP";
  const close = () => setOpen(undefined);
  const leave = () => {
    close();
    client.leave(room.roomId).then(onLeft, report);
  };
  return (
    <>
      {summary && room.status !== "gone" && (
        <RoundButton
          icon={isGroup ? "people" : "leave"}
          label={isGroup ? texts.roomMenu : texts.leave}
          onClick={() => setOpen(isGroup ? "members" : "leave")}
        />
      )}
      {open === "members" && summary && (
        <MembersDialog room={room} summary={summary} onClose={close} onLeave={() => setOpen("leave")} />
      )}
      {open === "leave" && (
        <Question
          question={
            <Phrase text={texts.leaveQuestion} names={[shownName(summary?.name) ?? texts.conversation]} />
          }
          hint={isGroup ? texts.leaveGroupHint : texts.leaveHint}
          yes={texts.leave}
          onYes={leave}
          onNo={close}
        />
      )}
    </>
  );
}
