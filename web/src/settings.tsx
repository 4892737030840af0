import { useId, useState } from "react";
import { caught } from "./caught.js";
import { Dialog, Question } from "./dialog.js";
import { useTexts } from "./language.js";
import { useNotices } from "./notices.js";
import { useReport, useTell } from "./reporting.js";
import { useSession } from "./session.js";

interface Props {
  readonly onClose: () => void;
  readonly onSignOut: () => void;
}

/** The user's settings for this browser, and the user's sessions on all devices. */
export function Settings({ onClose, onSignOut }: Props) {
  const texts = useTexts();
  return (
    <Dialog title={texts.settings} onClose={onClose}>
      <NoticeSwitch />
      <Sessions onSignOut={onSignOut} />
    </Dialog>
  );
}

function NoticeSwitch() {
  const texts = useTexts();
  const [notices, change] = useNotices();
  const hint = useId();
  if (notices === "none") return null;
  return (
    <section className="setting">
      <label className="switch">
        <span>{texts.notices}</span>
        <input
          type="checkbox"
          role="switch"
          checked={notices === "on"}
          aria-checked={notices === "on"}
          disabled={notices === "blocked"}
          aria-describedby={hint}
          onChange={({ target }) => void change(target.checked)}
        />
      </label>
      <p id={hint} className="muted">
        {notices === "blocked" ? texts.noticesBlocked : texts.noticesHint}
      </p>
    </section>
  );
}

function Sessions({ onSignOut }: { readonly onSignOut: () => void }) {
  const texts = useTexts();
  const [asking, setAsking] = useState<Ended>();
  const { isBusy, end } = useEnding(onSignOut);
  return (
    <section className="setting">
      <h3>{texts.sessions}</h3>
      <p className="muted">{texts.sessionsHint}</p>
      <div className="stacked">
        <button type="button" className="quiet framed" disabled={isBusy} onClick={() => setAsking("others")}>
          {texts.endOthers}
        </button>
        <button type="button" className="danger" disabled={isBusy} onClick={() => setAsking("all")}>
          {texts.signOutEverywhere}
        </button>
      </div>
      {asking && (
        <Question
          question={asking === "all" ? texts.signOutQuestion : texts.endOthersQuestion}
          hint={asking === "all" ? texts.signOutHint : texts.endOthersHint}
          yes={asking === "all" ? texts.signOutEverywhere : texts.endOthers}
          onYes={() => {
            setAsking(undefined);
            void end(asking);
          }}
          onNo={() => setAsking(undefined)}
        />
      )}
    </section>
  );
}

/** Which sessions of the user are ended. */
type Ended = "others" | "all";

/** Ends sessions, and tells the user how that went. */
function useEnding(onSignOut: () => void) {
  const { client } = useSession();
  const texts = useTexts();
  const report = useReport();
  const tell = useTell();
  const [isBusy, setBusy] = useState(false);
  const end = async (which: Ended) => {
    setBusy(true);
    try {
      await client.logOut();
      if (which === "all") return onSignOut();
      // The service can't end all sessions but one, so this one was ended too.
      client.connect().catch(caught);
      tell(texts.othersEnded);
    } catch (thrown) {
      report(thrown);
    }
    setBusy(false);
  };
  return { isBusy, end };
}
