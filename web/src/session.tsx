import { ChatClient, type ConnectionState, type Room } from "@nonstop/chat-client";
import { indexedDbOutbox } from "@nonstop/chat-client/indexeddb";
import { createContext, useContext, useEffect, useState, useSyncExternalStore } from "react";
import { caught } from "./caught.js";
import { deviceId } from "./device.js";
import { draftIn, onDrafts } from "./drafts.js";
import { type Surroundings, tokenFor, type User } from "./identity.js";
import type { Texts } from "./texts/en.js";

export interface Session {
  readonly client: ChatClient;
  readonly me: User;
  /** Everyone whom the user can talk to, the user too. */
  readonly users: readonly User[];
}

const Context = createContext<Session | undefined>(undefined);
export const SessionProvider = Context;

/** The session of the user who has signed in. Throws outside of a `SessionProvider`. */
export function useSession(): Session {
  const session = useContext(Context);
  if (!session) throw new Error("Nobody has signed in.");
  return session;
}

/** One outbox serves all users of this browser: each of its messages names its user. */
const outbox = indexedDbOutbox();

/**
 * Begins a session of the user. Its client connects, and reconnects by itself until `client.disconnect()` or
 * until the service ends the session. Does not wait for the connection.
 */
export async function startSession(me: User, { api, users = [] }: Surroundings): Promise<Session> {
  const client = new ChatClient({
    url: api,
    token: () => tokenFor(me.userId),
    userId: me.userId,
    deviceId: await deviceId(),
    outbox,
  });
  // The page shows failures of both: by the connection's state, and by a list of rooms that is still loading.
  client.connect().catch(caught);
  client.rooms().catch(caught);
  return { client, me, users };
}

export function useConnection() {
  const { client } = useSession();
  return useSyncExternalStore(
    (changed) => client.on("connection", changed),
    () => client.connection,
  );
}

function onNetwork(changed: () => void): () => void {
  window.addEventListener("online", changed);
  window.addEventListener("offline", changed);
  return () => {
    window.removeEventListener("online", changed);
    window.removeEventListener("offline", changed);
  };
}

/** Whether the device has no network, as far as the browser knows. */
export const useIsOffline = (): boolean => useSyncExternalStore(onNetwork, () => !navigator.onLine);

/** What the user has begun to write in the room. */
export function useDraft(roomId: number): string {
  const { me } = useSession();
  return useSyncExternalStore(onDrafts, () => draftIn(me.userId, roomId));
}

export function connectionText(status: ConnectionState["status"], texts: Texts): string {
  if (status === "connected") return texts.connected;
  return status === "closed" ? texts.closedTitle : texts.connecting;
}

export function useRoomList() {
  const { client } = useSession();
  return useSyncExternalStore(
    (changed) => client.on("rooms", changed),
    () => client.roomList,
  );
}

export function useSendingPaused() {
  const { client } = useSession();
  return useSyncExternalStore(
    (changed) => client.on("sending", changed),
    () => client.sendingPausedUntil,
  );
}

/**
 * The room, open as long as the component is mounted; undefined in the first rendering. Another `opening`
 * opens it again.
 */
export function useRoom(roomId: number, opening: number): Room | undefined {
  const { client } = useSession();
  const [room, setRoom] = useState<Room>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another opening is another room
  useEffect(() => {
    const opened = client.open(roomId);
    setRoom(opened);
    return () => {
      opened.close();
      setRoom(undefined);
    };
  }, [client, roomId, opening]);
  return room;
}

/** The room's messages. Renders the component again after any change of the room. */
export function useMessages(room: Room) {
  return useSyncExternalStore(
    (changed) => room.on("change", changed),
    () => room.messages,
  );
}

const TICK_MS = 250;

/** The time, four times a second, so that a countdown is never a second behind. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
