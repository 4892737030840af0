import { z } from "zod";
import { ChatError } from "../platform/errors.js";
import type { Command } from "./command.js";

const Payload = z.object({ token: z.string() });

/**
 * SEND to `/pub/session/token` with `{"token"}`: the connection lives as long as the new token. Throws
 * `UNAUTHORIZED` for a bad token or another user's, `UNAVAILABLE` when the token can't be verified right now.
 */
export const renewToken: Command = async ({ frame }, connection, deps) => {
  const identity = await deps.verifyToken(tokenOf(frame.body));
  if (identity.userId !== connection.userId)
    throw new ChatError("UNAUTHORIZED", "The token belongs to another user.");
  return { frames: [], state: { ...connection.state, expiresAt: identity.expiresAt } };
};

function tokenOf(body: string): string {
  try {
    return Payload.parse(JSON.parse(body)).token;
  } catch (cause) {
    throw new ChatError("UNAUTHORIZED", 'The body must be {"token": "<JWT>"}.', { cause });
  }
}
