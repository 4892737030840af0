import type { Member, Room, StoredMessage } from "@nonstop/chat-client";
import { Avatar } from "./avatar.js";
import { caught } from "./caught.js";
import { Dialog } from "./dialog.js";
import { useTexts } from "./language.js";
import { MembersFailed, Who } from "./members.js";
import { nameOf, Phrase } from "./name.js";
import { useMessages, useSession } from "./session.js";

interface Props {
  readonly room: Room;
  readonly message: StoredMessage;
  /** The room's name; in a room of two, the other user's. */
  readonly name: string;
  readonly onClose: () => void;
}

/** Shows live who has read a message. */
export function ReadersDialog({ onClose, ...props }: Props) {
  const texts = useTexts();
  return (
    <Dialog title={texts.whoHasRead} onClose={onClose}>
      <Readers {...props} />
    </Dialog>
  );
}

function Readers({ room, message, name }: Omit<Props, "onClose">) {
  const texts = useTexts();
  const { me } = useSession();
  useMessages(room);
  const readers = room.readersOf(message.messageId);
  if (readers) {
    const others = readers.readBy.filter(({ userId }) => userId !== message.senderId);
    return (
      <>
        <People title={texts.readBy(others.length)} people={others} />
        <People title={texts.notYetReadBy(readers.notReadBy.length)} people={readers.notReadBy} />
      </>
    );
  }
  // A second failure is shown in the same way.
  if (room.membersError) return <MembersFailed onAgain={() => void room.reloadMembers().catch(caught)} />;
  // A room of two has no list of members.
  if (message.senderId !== me.userId) return <p>{texts.youHaveRead}</p>;
  return (
    <p>
      <Phrase text={message.unreadCount === 0 ? texts.hasRead : texts.hasNotRead} names={[name]} />
    </p>
  );
}

function People({ title, people }: { readonly title: string; readonly people: readonly Member[] }) {
  const texts = useTexts();
  return (
    <section className="readers">
      <h3>{title}</h3>
      <ul className="members" aria-label={title}>
        {people.map((member) => (
          <li key={member.userId}>
            <Avatar name={nameOf(member, texts)} image={member.profileImageUrl} />
            <Who member={member} />
          </li>
        ))}
      </ul>
    </section>
  );
}
