import type { Member, RoomSummary } from "@nonstop/chat-client";
import { type FormEvent, useCallback, useEffect, useRef, useState } from "react";
import { Avatar } from "./avatar.js";
import { ChoosePeople } from "./choosePeople.js";
import { Dialog, Question } from "./dialog.js";
import { Icon } from "./icons.js";
import { useTexts } from "./language.js";
import { useReport } from "./reporting.js";
import { useSession } from "./session.js";

interface Props {
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

function Members({ summary, onLeave }: Omit<Props, "onClose">) {
  const { client, me, users } = useSession();
  const { roomId, name, memberCount } = summary;
  const texts = useTexts();
  const report = useReport();
  const [members, setMembers] = useState<readonly Member[]>();
  const [removing, setRemoving] = useState<Member>();
  const list = useRef<HTMLUListElement>(null);
  const asked = useRef(0);
  const load = useCallback(() => {
    asked.current += 1;
    const mine = asked.current;
    // An answer that was overtaken does not count.
    client.members(roomId).then((found) => mine === asked.current && setMembers(found), report);
  }, [client, roomId, report]);
  // Also when others change them.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the count tells of a change
  useEffect(load, [load, memberCount]);
  const isCreator = members?.some((member) => member.userId === me.userId && member.isCreator);
  const remove = ({ userId }: Member) => {
    setRemoving(undefined);
    client
      .kick(roomId, userId)
      .then(load, report)
      // The button that had the focus goes with its row.
      .finally(() => list.current?.focus());
  };
  return (
    <>
      <Rename roomId={roomId} name={name ?? ""} />
      <ul ref={list} className="members" tabIndex={-1} aria-label={texts.membersTitle}>
        {members?.map((member) => (
          <li key={member.userId}>
            <Avatar name={member.nickname} image={member.profileImageUrl} />
            <span className="who">
              {member.nickname}
              {member.userId === me.userId && <span className="muted"> ({texts.me})</span>}
            </span>
            {member.isCreator && <span className="tag">{texts.creator}</span>}
            {isCreator && member.userId !== me.userId && (
              <button
                type="button"
                className="quiet"
                aria-label={`${texts.remove}: ${member.nickname}`}
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
          onDone={load}
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
          question={texts.removeQuestion(removing.nickname, name ?? "")}
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
  readonly onDone: () => void;
}

function Invite({ roomId, people, onDone }: InviteProps) {
  const { client } = useSession();
  const texts = useTexts();
  const report = useReport();
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());
  const invite = (event: FormEvent) => {
    event.preventDefault();
    setChosen(new Set());
    client.invite(roomId, [...chosen]).then(onDone, report);
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
