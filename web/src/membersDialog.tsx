import type { Member, Room, RoomSummary } from "@nonstop/chat-client";
import { type FormEvent, useRef, useState } from "react";
import { Avatar } from "./avatar.js";
import { ChoosePeople } from "./choosePeople.js";
import { Dialog, Question } from "./dialog.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { Name, nameOf, Phrase } from "./name.js";
import { shownName } from "./names.js";
import { useReport } from "./reporting.js";
import { useMessages, useSession } from "./session.js";

interface Props {
  readonly room: Room;
  readonly summary: RoomSummary;
  readonly onClose: () => void;
  readonly onLeave: () => void;
}

/** Who is in a group; with what one may do about it. */
export function MembersDialog({ onClose, ...props }: Props) {
  const texts = useTexts();
  return (
    <Dialog title={texts.membersTitle} onClose={onClose}>
      <Members {...props} />
    </Dialog>
  );
}

function Members({ room, summary, onLeave }: Omit<Props, "onClose">) {
  const { client, me, users } = useSession();
  const { roomId, name } = summary;
  const texts = useTexts();
  const report = useReport();
  useMessages(room);
  const { members, membersError } = room;
  const [removing, setRemoving] = useState<Member>();
  const list = useRef<HTMLUListElement>(null);
  const load = () => void room.reloadMembers().catch(report);
  const isCreator = members?.some((member) => member.userId === me.userId && member.isCreator);
  const remove = ({ userId }: Member) => {
    setRemoving(undefined);
    client
      .kick(roomId, userId)
      .catch(report)
      // The button that had the focus goes with its row.
      .finally(() => list.current?.focus());
  };
  return (
    <>
      <Rename roomId={roomId} name={name ?? ""} />
      {!members && !membersError && (
        <p className="hint" role="status">
          {texts.loading}
        </p>
      )}
      {membersError && (
        <div className="failed" role="alert">
          <p>{texts.membersFailed}</p>
          <button type="button" className="quiet" onClick={load}>
            {texts.tryAgain}
          </button>
        </div>
      )}
      <ul ref={list} className="members" tabIndex={-1} aria-label={texts.membersTitle}>
        {members?.map((member) => (
          <li key={member.userId}>
            <Avatar name={member.nickname} image={member.profileImageUrl} />
            <span className="who">
              <Name of={member} />
              {member.userId === me.userId && <span className="muted"> ({texts.me})</span>}
            </span>
            {member.isCreator && <span className="tag">{texts.creator}</span>}
            {isCreator && member.userId !== me.userId && (
              <button
                type="button"
                className="quiet"
                aria-label={`${texts.remove}: ${nameOf(member, texts)}`}
                onClick={() => setRemoving(member)}
              >
                {texts.remove}
              </button>
            )}
          </li>
        ))}
      </ul>
      {members && (
        <Invite
          roomId={roomId}
          people={users.filter(({ userId }) => !members.some((member) => member.userId === userId))}
        />
      )}
      <footer className="dialogFoot apart">
        <button type="button" className="danger" onClick={onLeave}>
          <Icon name="leave" />
          {texts.leave}
        </button>
      </footer>
      {removing && (
        <Question
          question={
            <Phrase
              text={texts.removeQuestion}
              names={[nameOf(removing, texts), shownName(name) ?? texts.conversation]}
            />
          }
          yes={texts.remove}
          onYes={() => remove(removing)}
          onNo={() => setRemoving(undefined)}
        />
      )}
    </>
  );
}

function Rename({ roomId, name }: { readonly roomId: number; readonly name: string }) {
  const { client } = useSession();
  const texts = useTexts();
  const report = useReport();
  const [next, setNext] = useState(name);
  const rename = (event: FormEvent) => {
    event.preventDefault();
    client.renameGroup(roomId, next.trim()).catch(report);
  };
  return (
    <form className="inline" onSubmit={rename}>
      <label className="field">
        {texts.roomName}
        <input value={next} maxLength={100} required onChange={({ target }) => setNext(target.value)} />
      </label>
      <button type="submit" className="quiet" disabled={next.trim() === "" || next.trim() === name}>
        {texts.rename}
      </button>
    </form>
  );
}

interface InviteProps {
  readonly roomId: number;
  readonly people: readonly { readonly userId: number; readonly nickname: string }[];
}

function Invite({ roomId, people }: InviteProps) {
  const { client } = useSession();
  const texts = useTexts();
  const report = useReport();
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());
  const invite = (event: FormEvent) => {
    event.preventDefault();
    setChosen(new Set());
    client.invite(roomId, [...chosen]).catch(report);
  };
  return (
    <form onSubmit={invite}>
      <ChoosePeople title={texts.inviteTitle} people={people} chosen={chosen} onChange={setChosen} />
      {people.length > 0 && (
        <footer className="dialogFoot">
          <button type="submit" className="primary" disabled={chosen.size === 0}>
            {texts.invite}
          </button>
        </footer>
      )}
    </form>
  );
}
