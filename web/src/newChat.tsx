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

/** One person makes a room of two, several a group with a name. */
export function NewChat(props: Props) {
  const texts = useTexts();
  return (
    <Dialog title={texts.newChat} onClose={props.onClose}>
      <Start {...props} />
    </Dialog>
  );
}

function Start({ onClose, onMade }: Props) {
  const { client, me, users } = useSession();
  const texts = useTexts();
  const report = useReport();
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set());
  const [name, setName] = useState("");
  const [isBusy, setBusy] = useState(false);
  const others = users.filter(({ userId }) => userId !== me.userId);
  const isGroup = chosen.size > 1;
  const start = async (event: FormEvent) => {
    event.preventDefault();
    const ids = [...chosen];
    setBusy(true);
    try {
      const roomId = isGroup ? await client.createGroup(name.trim(), ids) : await client.openWith(ids[0]!);
      onClose();
      onMade(roomId);
    } catch (error) {
      setBusy(false);
      report(error as Error);
    }
  };
  return (
    <form onSubmit={start}>
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
        <button
          type="submit"
          className="primary"
          disabled={isBusy || chosen.size === 0 || (isGroup && name.trim() === "")}
        >
          {texts.start}
        </button>
      </footer>
    </form>
  );
}
