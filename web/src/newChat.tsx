import { type FormEvent, useState } from "react";
import { ChoosePeople } from "./choosePeople.js";
import { Dialog } from "./dialog.js";
import { useTexts } from "./language.js";
import { useReport } from "./reporting.js";
import { useSession } from "./session.js";

interface Props {
  readonly onClose: () => void;
  readonly onMade: (roomId: number) => void;
}

/** Starts a room of two with one person, or a group with a name with several. */
export function NewChat(props: Props) {
  const texts = useTexts();
  return (
    <Dialog title={texts.newChat} onClose={props.onClose}>
      <Start {...props} />
    </Dialog>
  );
}

function Start({ onClose, onMade }: Props) {
  const { me, users } = useSession();
  const texts = useTexts();
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());
  const [name, setName] = useState("");
  const { isBusy, start } = useStart((roomId) => {
    onClose();
    onMade(roomId);
  });
  const others = users.filter(({ userId }) => userId !== me.userId);
  const isGroup = chosen.size > 1;
  const isReady = chosen.size > 0 && (!isGroup || name.trim() !== "");
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    void start([...chosen], name.trim());
  };
  return (
    <form onSubmit={onSubmit}>
      <p className="muted">{texts.groupHint}</p>
      <ChoosePeople title={texts.people} people={others} chosen={chosen} onChange={setChosen} />
      {isGroup && (
        <label className="field">
          {texts.roomName}
          <input value={name} maxLength={100} required onChange={({ target }) => setName(target.value)} />
        </label>
      )}
      <footer className="dialogFoot">
        <button type="button" className="quiet" onClick={onClose}>
          {texts.cancel}
        </button>
        <button type="submit" className="primary" disabled={isBusy || !isReady}>
          {texts.start}
        </button>
      </footer>
    </form>
  );
}

/** Makes a room, one at a time, and reports why it could not. The name is for a group only. */
function useStart(onMade: (roomId: number) => void) {
  const { client } = useSession();
  const report = useReport();
  const [isBusy, setBusy] = useState(false);
  const start = async (userIds: readonly number[], name: string) => {
    const [first] = userIds;
    if (first === undefined) return;
    setBusy(true);
    try {
      onMade(
        userIds.length > 1 ? await client.createGroup(name, [...userIds]) : await client.openWith(first),
      );
    } catch (thrown) {
      setBusy(false);
      report(thrown);
    }
  };
  return { isBusy, start };
}
