import { useRef, useState } from "react";
import { type Beginning, begin, forget, signIn } from "./beginning.js";
import { Chat } from "./chat.js";
import type { User } from "./identity.js";
import { useTexts } from "./language.js";
import { PictureHosts } from "./pictureHosts.js";
import { SessionProvider } from "./session.js";
import { Brand, SignIn } from "./signIn.js";

/** The whole page: the chat, a choice of users, or a notice that the service can't be found. */
export function App({ beginning }: { readonly beginning: Beginning }) {
  const [now, setNow] = useState(beginning);
  const isBusy = useRef(false);
  const goOn = async (next: () => Promise<Beginning>) => {
    // The user may click again before the first click has its answer.
    if (isBusy.current) return;
    isBusy.current = true;
    setNow(await next());
    isBusy.current = false;
  };
  if (now.kind === "failed") return <Failed onAgain={() => void goOn(begin)} />;
  const { surroundings } = now;
  const choose = (user: User) => void goOn(() => signIn(user, surroundings));
  if (now.kind === "choice") return <SignIn users={surroundings.users} onChoose={choose} />;
  const { session } = now;
  const signOut = () => {
    void session.client.disconnect();
    forget();
    location.hash = "";
    setNow({ kind: "choice", surroundings });
  };
  return (
    <PictureHosts value={surroundings.imageHosts}>
      <SessionProvider value={session}>
        <Chat onSignOut={signOut} />
      </SessionProvider>
    </PictureHosts>
  );
}

function Failed({ onAgain }: { readonly onAgain: () => void }) {
  const texts = useTexts();
  return (
    <main className="plain">
      <div className="signIn">
        <Brand />
        <h1>{texts.noConfigTitle}</h1>
        <p role="alert" className="muted">
          {texts.noConfig}
        </p>
        <button type="button" className="primary" onClick={onAgain}>
          {texts.tryAgain}
        </button>
      </div>
    </main>
  );
}
