import { useRef, useState } from "react";
import { type Beginning, begin, forget, signIn } from "./beginning.js";
import { Chat } from "./chat.js";
import type { User } from "./identity.js";
import { useTexts } from "./language.js";
import { PictureHosts } from "./pictureHosts.js";
import { SessionProvider } from "./session.js";
import { Brand, SignIn } from "./signIn.js";

export function App({ beginning }: { readonly beginning: Beginning }) {
  const texts = useTexts();
  const [now, setNow] = useState(beginning);
  const isBusy = useRef(false);
  const goOn = async (next: Promise<Beginning>) => {
    // Not for a second click of the same moment.
    isBusy.current = true;
    setNow(await next.catch((): Beginning => ({ kind: "failed" })));
    isBusy.current = false;
  };
  const again = () => {
    if (!isBusy.current) void goOn(begin());
  };
  if (now.kind === "failed")
    return (
      <main className="plain">
        <div className="signIn">
          <Brand />
          <h1>{texts.noConfigTitle}</h1>
          <p role="alert" className="muted">
            {texts.noConfig}
          </p>
          <button type="button" className="primary" onClick={again}>
            {texts.tryAgain}
          </button>
        </div>
      </main>
    );
  const { surroundings } = now;
  const choose = (user: User) => {
    if (!isBusy.current) void goOn(signIn(user, surroundings));
  };
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
