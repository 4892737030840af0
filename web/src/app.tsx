import { useEffect, useRef, useState } from "react";
import { Chat } from "./chat.js";
import { loadSurroundings, type Surroundings, type User } from "./identity.js";
import { keptByTab } from "./kept.js";
import { useTexts } from "./language.js";
import { type Session, SessionProvider, startSession } from "./session.js";
import { Brand, SignIn } from "./signIn.js";

const KEY = "nonstop-user";

/** Who was chosen in this tab before a reload. */
function rememberedIn({ users }: Surroundings): User | undefined {
  const userId = Number(keptByTab.get(KEY));
  return users?.find((user) => user.userId === userId);
}

export function App() {
  const texts = useTexts();
  const [surroundings, setSurroundings] = useState<Surroundings | "failed">();
  const [session, setSession] = useState<Session>();

  const isStarting = useRef(false);
  const signIn = async (user: User, where: Surroundings) => {
    // A second click of the same moment.
    if (isStarting.current) return;
    isStarting.current = true;
    keptByTab.set(KEY, String(user.userId));
    try {
      setSession(await startSession(user, where));
    } catch {
      setSurroundings("failed");
    } finally {
      isStarting.current = false;
    }
  };
  const load = () => {
    setSurroundings(undefined);
    loadSurroundings().then(
      (found) => {
        setSurroundings(found);
        const user = rememberedIn(found);
        if (user) void signIn(user, found);
      },
      () => setSurroundings("failed"),
    );
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the page begins
  useEffect(load, []);

  const signOut = () => {
    void session?.client.disconnect();
    keptByTab.remove(KEY);
    location.hash = "";
    setSession(undefined);
  };
  if (session)
    return (
      <SessionProvider value={session}>
        <Chat onSignOut={signOut} />
      </SessionProvider>
    );
  if (surroundings === "failed")
    return (
      <main className="plain">
        <div className="signIn">
          <Brand />
          <h1>{texts.noConfigTitle}</h1>
          <p role="alert" className="muted">
            {texts.noConfig}
          </p>
          <button type="button" className="primary" onClick={load}>
            {texts.tryAgain}
          </button>
        </div>
      </main>
    );
  if (!surroundings || rememberedIn(surroundings)) return <main className="plain" aria-busy="true" />;
  return <SignIn users={surroundings.users} onChoose={(user) => signIn(user, surroundings)} />;
}
