import { Avatar } from "./avatar.js";
import type { User } from "./identity.js";
import { useLanguage } from "./language.js";
import { LanguageSwitch } from "./languageSwitch.js";

interface Props {
  readonly users: readonly User[] | undefined;
  readonly onChoose: (user: User) => void;
}

export function SignIn({ users, onChoose }: Props) {
  const { texts } = useLanguage();
  return (
    <main className="plain">
      <div className="signIn">
        <p className="brand">
          <img src="/favicon.svg" alt="" width="32" height="32" />
          {texts.appName}
        </p>
        <h1>{texts.signInTitle}</h1>
        {users ? (
          <>
            <p className="muted">{texts.signInHint}</p>
            <ul className="people">
              {users.map((user) => (
                <li key={user.userId}>
                  <button type="button" className="person" onClick={() => onChoose(user)}>
                    <Avatar name={user.nickname} />
                    <span>{user.nickname}</span>
                  </button>
                </li>
              ))}
            </ul>
          </>
        ) : (
          <p>{texts.noDemo}</p>
        )}
        <LanguageSwitch />
      </div>
    </main>
  );
}
