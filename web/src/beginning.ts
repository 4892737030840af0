import { loadSurroundings, type Surroundings, type User } from "./identity.js";
import { keptByTab } from "./kept.js";
import { type Session, startSession } from "./session.js";

const KEY = "nonstop-user";

/** What the page begins with: a session, a choice of users, or only the fact that it failed. */
export type Beginning =
  | { readonly kind: "failed" }
  | { readonly kind: "choice"; readonly surroundings: Surroundings }
  | { readonly kind: "session"; readonly surroundings: Surroundings; readonly session: Session };

/** Goes on with the user of this tab after a reload; otherwise offers a choice. Never rejects. */
export const begin = (): Promise<Beginning> =>
  orFailed(async () => {
    const surroundings = await loadSurroundings();
    const userId = Number(keptByTab.get(KEY));
    const user = surroundings.users?.find((one) => one.userId === userId);
    return user ? await sessionOf(user, surroundings) : { kind: "choice", surroundings };
  });

/** Begins a session of the user, and remembers the user for a reload. Never rejects. */
export const signIn = (user: User, surroundings: Surroundings): Promise<Beginning> =>
  orFailed(() => sessionOf(user, surroundings));

/** The next reload begins with the choice. */
export const forget = (): void => keptByTab.remove(KEY);

async function sessionOf(user: User, surroundings: Surroundings): Promise<Beginning> {
  keptByTab.set(KEY, String(user.userId));
  return { kind: "session", surroundings, session: await startSession(user, surroundings) };
}

async function orFailed(beginning: () => Promise<Beginning>): Promise<Beginning> {
  try {
    return await beginning();
  } catch (error) {
    // The user is told only that it failed; a developer wants to know why.
    console.error(error);
    return { kind: "failed" };
  }
}
