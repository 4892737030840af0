import type { Member, Room, RoomSummary } from "@nonstop/chat-client";
import { type FormEvent, useRef, useState } from "react";
import { Avatar } from "./avatar.js";
import { ChoosePeople } from "./choosePeople.js";
import { Dialog, Question } from "./dialog.js";
import { Icon } from "./icons.js";
import type { User } from "./identity.js";
import { useTexts } from "./language.js";
import { MembersFailed, Who } from "./members.js";
import { nameOf, Phrase } from "./name.js";
import { shownName } from "./names.js";
import { useReport } from "./reporting.js";
import { useMessages, useSession } from "./session.js";

interface Props {
  readonly room: Room;
  readonly summary: RoomSummary;
  readonly onClose: () => void;
  readonly onLeave: () => void;
}

/** A group's name and members, and what the user may change of them. */
export function MembersDialog({ room, summary, onClose, onLeave }: Props) {
  const texts = useTexts();
  return (
    <Dialog title={texts.membersTitle} onClose={onClose}>
      <Rename roomId={summary.roomId} name={summary.name ?? ""} />
      <Members room={room} name={shownName(summary.name) ?? texts.conversation} />
      <footer className="dialogFoot apart">
        <button type="button" className="danger" onClick={onLeave}>
          <Icon name="leave" />
          {texts.leave}
        </button>
      </footer>
    </Dialog>
  );
}

interface MembersProps {
  readonly room: Room;
  /** The room's. */
  readonly name: string;
}

function Members({ room, name }: MembersProps) {
  const { client, users } = useSession();
  const texts = useTexts();
  const report = useReport();
  useMessages(room);
  const { roomId, members, membersError } = room;
  const [removing, setRemoving] = useState<Member>();
  const list = useRef<HTMLUListElement>(null);
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
      {!members && !membersError && (
        <p className="hint" role="status">
          {texts.loading}
        </p>
      )}
      {membersError && <MembersFailed onAgain={() => void room.reloadMembers().catch(report)} />}
      <ul ref={list} className="members" tabIndex={-1} aria-label={texts.membersTitle}>
        {members && <MemberRows members={members} onRemove={setRemoving} />}
      </ul>
      {members && (
        <Invite
          roomId={roomId}
          people={users.filter(({ userId }) => !members.some((member) => member.userId === userId))}
        />
      )}
      {removing && (
        <Question
          question={<Phrase text={texts.removeQuestion} names={[nameOf(removing, texts), name]} />}
          yes={texts.remove}
          onYes={() => remove(removing)}
          onNo={() => setRemoving(undefined)}
        />
      )}
    </>
  );
}

interface RowsProps {
  readonly members: readonly Member[];
  readonly onRemove: (member: Member) => void;
}

/** Only the group's creator may remove others. */
function MemberRows({ members, onRemove }: RowsProps) {
  const { me } = useSession();
  const texts = useTexts();
  const isCreator = members.some((member) => member.userId === me.userId && member.isCreator);
  return members.map((member) => (
    <li key={member.userId}>
      <Avatar name={member.nickname} image={member.profileImageUrl} />
      <Who member={member} />
      {member.isCreator && <span className="tag">{texts.creator}</span>}
      {isCreator && member.userId !== me.userId && (
        <button
          type="button"
          className="quiet"
          aria-label={`${texts.remove}: ${nameOf(member, texts)}`}
          onClick={() => onRemove(member)}
        >
          {texts.remove}
        </button>
      )}
    </li>
  ));
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

function Invite({ roomId, people }: { readonly roomId: number; readonly people: readonly User[] }) {
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
