import type { z } from "zod";
import type { Broadcaster } from "../broadcast/broadcaster.js";
import { rememberIdentity } from "../connections/remember.js";
import type { Database } from "../store/database.js";
import type { Caller } from "./call.js";
import type { Negotiated } from "./schemas.js";

const CLIENT_URL_MINUTES = 60;

interface Deps {
  readonly broadcaster: Broadcaster;
  readonly database: Database;
  readonly now: () => number;
}

/**
 * An address that the caller can connect a WebSocket to, for an hour at most and no longer than the token is
 * good. Throws `UNAVAILABLE` when the socket service can't be asked.
 */
export async function negotiate(
  { caller }: { readonly caller: Caller },
  { broadcaster, database, now }: Deps,
): Promise<z.infer<typeof Negotiated>> {
  await rememberIdentity(caller, database);
  const left = Math.floor((caller.expiresAt - now() / 1_000) / 60);
  const minutes = Math.min(CLIENT_URL_MINUTES, Math.max(1, left));
  const url = new URL(await broadcaster.clientUrl(caller.userId, minutes));
  // The service's own token lets the handshake through. The caller's token says who connects, and until when.
  url.searchParams.set("token", caller.token);
  const expiresAt = Math.min(caller.expiresAt * 1_000, now() + minutes * 60_000);
  return { url: url.href, protocol: "v12.stomp", expiresAt: new Date(expiresAt).toISOString() };
}
