import type { Member, Room, StoredMessage } from "@nonstop/chat-client";
import { Avatar } from "./avatar.js";
import { Dialog } from "./dialog.js";
import { useTexts } from "./language.js";
import { Name, nameOf, Phrase } from "./name.js";
import { useMessages, useSession } from "./session.js";

interface Props {
  readonly room: Room;
  readonly message: StoredMessage;
  /** The room's: in a room of two, the other one's. */
  readonly name: string;
  readonly onClose: () => void;
}

/** Who has read a message, as it happens. */
export function ReadersDialog({ room, message, name, onClose }: Props) {
  const texts = useTexts();
  const { me } = useSession();
  useMessages(room);
  const readers = room.readersOf(message.messageId);
  const isRead = message.unreadCount === 0;
  const others = readers?.readBy.filter(({ userId }) => userId !== message.senderId);
  return (
    <Dialog title={texts.whoHasRead} onClose={onClose}>
      {readers && others ? (
        <>
          <People title={texts.readBy(others.length)} people={others} />
          <People title={texts.notYetReadBy(readers.notReadBy.length)} people={readers.notReadBy} />
        </>
      ) : room.membersError ? (
        <Failed room={room} />
      ) : message.senderId === me.userId ? (
        <p>
          <Phrase text={isRead ? texts.hasRead : texts.hasNotRead} names={[name]} />
        </p>
      ) : (
        <p>{texts.youHaveRead}</p>
      )}
    </Dialog>
  );
}

function Failed({ room }: { readonly room: Room }) {
  const texts = useTexts();
  return (
    <div className="failed" role="alert">
      <p>{texts.membersFailed}</p>
      <button type="button" className="quiet" onClick={() => void room.reloadMembers().catch(() => {})}>
        {texts.tryAgain}
      </button>
    </div>
  );
}

function People({ title, people }: { readonly title: string; readonly people: readonly Member[] }) {
  const texts = useTexts();
  const { me } = useSession();
  return (
    <section className="readers">
      <h3>{title}</h3>
      <ul className="members" aria-label={title}>
        {people.map((member) => (
          <li key={member.userId}>
            <Avatar name={nameOf(member, texts)} image={member.profileImageUrl} />
            <span className="who">
              <Name of={member} />
              {member.userId === me.userId && <span className="muted"> ({texts.me})</span>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
