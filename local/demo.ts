import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEMO_USERS } from "./page/demo.js";
import type { Addresses } from "./stack.js";
import { signToken } from "./tokens.js";

const TOKEN_S = 60;
const CALL_TIMEOUT_MS = 10_000;

/**
 * Makes, once for a data folder, the demo users known, a group of all of them, and a room of the first two.
 * Rejects when a call fails. The next start then tries again, and makes only what is missing.
 */
export async function makeDemo(data: string, { api, auth }: Pick<Addresses, "api" | "auth">): Promise<void> {
  const marker = join(data, "demo.json");
  if (existsSync(marker)) return;
  const call = async (user: (typeof DEMO_USERS)[number], method: string, path: string, body?: object) => {
    const response = await fetch(`${api}/api/v1/chat${path}`, {
      method,
      headers: { authorization: `Bearer ${await signToken(auth, user, TOKEN_S)}` },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    });
    if (!response.ok)
      throw new Error(`${method} ${path} answered ${response.status} ${await response.text()}`);
    return (await response.json()) as { rooms?: { name: string }[]; roomId?: number };
  };
  const [ann, ben] = DEMO_USERS;
  // The service learns a user's name from their token.
  for (const user of DEMO_USERS) await call(user, "POST", "/negotiate");
  const { rooms = [] } = await call(ann, "GET", "/rooms?limit=100");
  await call(ann, "POST", "/rooms", { targetUserId: ben.userId });
  const userIds = DEMO_USERS.slice(1).map(({ userId }) => userId);
  if (!rooms.some(({ name }) => name === "Nonstop"))
    await call(ann, "POST", "/group-rooms", { roomName: "Nonstop", userIds });
  writeFileSync(marker, `${JSON.stringify({ madeAt: new Date().toISOString() })}\n`);
}
