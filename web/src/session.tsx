import { ChatClient, type ConnectionState, type Room } from "@nonstop/chat-client";
import { indexedDbOutbox } from "@nonstop/chat-client/indexeddb";
import { createContext, useContext, useEffect, useState, useSyncExternalStore } from "react";
import { deviceId } from "./device.js";
import { draftIn, onDrafts } from "./drafts.js";
import { type Surroundings, tokenFor, type User } from "./identity.js";
import type { Texts } from "./texts/en.js";

export interface Session {
  readonly client: ChatClient;
  readonly me: User;
  /** Everyone there is to talk to. */
  readonly users: readonly User[];
}

const Context = createContext<Session | undefined>(undefined);
export const SessionProvider = Context;

/** The session of whoever has signed in; throws outside of it. */
export function useSession(): Session {
  const session = useContext(Context);
  if (!session) throw new Error("nobody has signed in");
  return session;
}

/** Of all users: it knows whose a message is. */
const outbox = indexedDbOutbox();

/** A session of the user, connecting and coming back by itself until it is disconnected. */
export async function startSession(me: User, { api, users = [] }: Surroundings): Promise<Session> {
  const client = new ChatClient({
    url: api,
    token: () => tokenFor(me.userId),
    userId: me.userId,
    deviceId: await deviceId(),
    outbox,
  });
  // Both are shown by what they leave behind: the connection's state, and the list once it can be had.
  client.connect().catch(() => {});
  client.rooms().catch(() => {});
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

/** What one has begun to write in a room. */
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

/** The room, open for as long as it is shown; opened anew when `opening` changes. */
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

/** Draws anew whenever something in the room changes. */
export function useMessages(room: Room) {
  return useSyncExternalStore(
    (changed) => room.on("change", changed),
    () => room.messages,
  );
}

const TICK_MS = 250;

/** The time, several times a second, so that a countdown is never a second behind. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
