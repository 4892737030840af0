import { loadSurroundings, type Surroundings, type User } from "./identity.js";
import { keptByTab } from "./kept.js";
import { type Session, startSession } from "./session.js";

const KEY = "nonstop-user";

/** What there is when the page can be drawn: a session, or a choice of users, or nothing but the fact that it failed. */
export type Beginning =
  | { readonly kind: "failed" }
  | { readonly kind: "choice"; readonly surroundings: Surroundings }
  | { readonly kind: "session"; readonly surroundings: Surroundings; readonly session: Session };

/** Who was chosen in this tab before a reload goes on. Never rejects. */
export async function begin(): Promise<Beginning> {
  try {
    const surroundings = await loadSurroundings();
    const userId = Number(keptByTab.get(KEY));
    const user = surroundings.users?.find((one) => one.userId === userId);
    return user ? await signIn(user, surroundings) : { kind: "choice", surroundings };
  } catch {
    return { kind: "failed" };
  }
}

export async function signIn(user: User, surroundings: Surroundings): Promise<Beginning> {
  keptByTab.set(KEY, String(user.userId));
  return { kind: "session", surroundings, session: await startSession(user, surroundings) };
}

/** The next reload begins with the choice. */
export const forget = (): void => keptByTab.remove(KEY);
