import { ChatClient, type ChatClientOptions, type Room, type StoredMessage } from "@nonstop/chat-client";
import { afterEach, inject } from "vitest";
import { type ChaosProxy, startChaosProxy } from "./chaosProxy.js";
import { tokenFor } from "./client.js";
import { seededRandom } from "./seed.js";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/**
 * Registers a clean-up. Clean-ups are done after the test, one after the other, in the order they were
 * registered.
 */
export const afterTest = (cleanUp: () => unknown): void => void cleanUps.push(cleanUp);

/** A user's chat client, disconnected after the test. */
export function chatClient(userId: number, options: Partial<ChatClientOptions> = {}): ChatClient {
  const client = new ChatClient({ url: inject("stack").api, token: () => tokenFor(userId), ...options });
  afterTest(() => client.disconnect());
  return client;
}

/** One that is connected. */
export async function connected(
  userId: number,
  options: Partial<ChatClientOptions> = {},
): Promise<ChatClient> {
  const client = chatClient(userId, options);
  await client.connect();
  return client;
}

/** A network that a test can spoil; closed after the test. */
export async function chaosProxy(): Promise<ChaosProxy> {
  const proxy = await startChaosProxy(inject("stack").api, seededRandom());
  afterTest(() => proxy.close());
  return proxy;
}

export async function opened(client: ChatClient, roomId: number): Promise<Room> {
  const room = client.open(roomId);
  await room.ready;
  return room;
}

/** Of what the room shows, what is in the history. */
export const storedIn = (room: Room): StoredMessage[] =>
  room.messages.flatMap((message) => (message.state === "stored" ? [message] : []));

/** As the HTTP history has them. */
export const asHistory = (room: Room): object[] => storedIn(room).map(({ state: _, ...message }) => message);
