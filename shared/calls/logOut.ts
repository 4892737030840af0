import type { z } from "zod";
import { deviceOf } from "../connections/handshake.js";
import { logOut as endSessions } from "../connections/logOut.js";
import type { LoggedOut } from "./schemas.js";

interface Input {
  readonly callerId: number;
  /** As the client calls its device; all sessions of the caller end where it is left out. */
  readonly deviceId?: string | undefined;
}

/** Ends all sessions of the caller, or those of one device. Throws as `endSessions` does. */
export async function logOut(
  { callerId, deviceId }: Input,
  deps: Parameters<typeof endSessions>[2],
): Promise<z.infer<typeof LoggedOut>> {
  await endSessions(callerId, deviceId === undefined ? undefined : deviceOf(deviceId), deps);
  return { userId: callerId, deviceId: deviceId ?? null };
}
