import type { Member } from "@nonstop/chat-client";
import { useTexts } from "./language.js";
import { Name } from "./name.js";
import { useSession } from "./session.js";

/** A member's name, with a word beside it if that is the user. */
export function Who({ member }: { readonly member: Member }) {
  const { me } = useSession();
  const texts = useTexts();
  return (
    <span className="who">
      <Name of={member} />
      {member.userId === me.userId && <span className="muted"> ({texts.me})</span>}
    </span>
  );
}

/** The list of members could not be loaded. */
export function MembersFailed({ onAgain }: { readonly onAgain: () => void }) {
  const texts = useTexts();
  return (
    <div className="failed" role="alert">
      <p>{texts.membersFailed}</p>
      <button type="button" className="quiet" onClick={onAgain}>
        {texts.tryAgain}
      </button>
    </div>
  );
}
