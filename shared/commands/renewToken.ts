import { ChatError } from "../platform/errors.js";
import type { Command } from "./command.js";

/** SEND to `/pub/session/token` with `{"token"}`: the connection lives as long as the new token. Throws `UNAUTHORIZED` for a bad token or another user's. */
export const renewToken: Command = async ({ frame }, connection, deps) => {
  const identity = await deps.verifyToken(tokenOf(frame.body));
  if (identity.userId !== connection.userId)
    throw new ChatError("UNAUTHORIZED", "The token belongs to another user.");
  return { frames: [], state: { ...connection.state, expiresAt: identity.expiresAt } };
};

function tokenOf(body: string): string {
  try {
    const { token } = JSON.parse(body) as { token?: unknown };
    if (typeof token === "string") return token;
  } catch {
    // Said below: neither JSON nor a token.
  }
  throw new ChatError("UNAUTHORIZED", 'The body must be {"token": "<JWT>"}.');
}
