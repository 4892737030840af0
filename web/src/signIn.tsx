import { Avatar } from "./avatar.js";
import type { User } from "./identity.js";
import { useTexts } from "./language.js";
import { LanguageSwitch } from "./languageSwitch.js";
import { Name } from "./name.js";

interface Props {
  readonly users: readonly User[] | undefined;
  readonly onChoose: (user: User) => void;
}

/** The choice of a demo user, or that there are none. */
export function SignIn({ users, onChoose }: Props) {
  const texts = useTexts();
  return (
    <main className="plain">
      <div className="signIn">
        <Brand />
        <h1>{texts.signInTitle}</h1>
        {users ? (
          <>
            <p className="muted">{texts.signInHint}</p>
            <ul className="people">
              {users.map((user) => (
                <li key={user.userId}>
                  <button type="button" className="person" onClick={() => onChoose(user)}>
                    <Avatar name={user.nickname} />
                    <span>
                      <Name of={user} />
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </>
        ) : (
          <p className="muted">{texts.noDemo}</p>
        )}
        <LanguageSwitch />
      </div>
    </main>
  );
}

export function Brand() {
  const texts = useTexts();
  return (
    <p className="brand">
      <img src="/favicon.svg" alt="" width="32" height="32" />
      {texts.appName}
    </p>
  );
}
