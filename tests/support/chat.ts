import { ChatClient, type ChatClientOptions, type Room, type StoredMessage } from "@nonstop/chat-client";
import { afterEach, inject } from "vitest";
import { type ChaosProxy, startChaosProxy } from "./chaosProxy.js";
import { tokenFor } from "./client.js";

const ended: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

/** Something is ended after the test, the last begun first to be ended last. */
export const afterTest = (end: () => unknown): void => void ended.push(end);

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
  const proxy = await startChaosProxy(inject("stack").api);
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
