import { inject } from "vitest";
import WebSocket from "ws";
import { tokenFor } from "./client.js";
import { PATIENCE_MS } from "./patience.js";

/** A bare WebSocket, for frames that no stock client would send. */
export interface RawSocket {
  readonly protocol: string;
  send(data: string | Uint8Array): void;
  /**
   * The next WebSocket message as text. Rejects when the socket closes first, or after minutes of silence.
   */
  next(): Promise<string>;
  /** The WebSocket messages that `next` has not returned yet. */
  readonly arrived: readonly string[];
  /** Resolves when the server has closed the socket. */
  readonly closed: Promise<void>;
  readonly isOpen: boolean;
  close(): Promise<void>;
}

export async function open(
  userId: number,
  protocols: string[] = ["v12.stomp"],
  query = "",
  token?: string,
  address = inject("stack").webPubSub,
): Promise<RawSocket> {
  const url = `${address}?token=${token ?? (await tokenFor(userId))}${query}`;
  const socket = new WebSocket(url, protocols);
  const arrived: string[] = [];
  const waiting: { resolve: (text: string) => void; reject: (error: Error) => void }[] = [];
  socket.on("message", (data: Buffer) => {
    const next = waiting.shift();
    if (next) next.resolve(data.toString());
    else arrived.push(data.toString());
  });
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  void closed.then(() => {
    for (const { reject } of waiting) reject(new Error("the socket was closed"));
  });
  await new Promise<void>((resolve, reject) => {
    socket.on("open", () => resolve());
    socket.on("error", reject);
  });
  return {
    arrived,
    get protocol() {
      return socket.protocol;
    },
    get isOpen() {
      return socket.readyState === WebSocket.OPEN;
    },
    send: (data) => socket.send(data),
    next() {
      const text = arrived.shift();
      if (text !== undefined) return Promise.resolve(text);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("nothing came")), PATIENCE_MS);
        waiting.push({
          resolve: (one) => {
            clearTimeout(timer);
            resolve(one);
          },
          reject: (error) => {
            clearTimeout(timer);
            reject(error);
          },
        });
      });
    },
    closed,
    async close() {
      socket.close();
      await closed;
    },
  };
}

/** A raw socket that has been answered CONNECTED. */
export async function openConnected(
  userId: number,
  version = "1.2",
  token?: string,
  query = "",
  address?: string,
): Promise<RawSocket> {
  const socket = await open(userId, [`v${version.replace(".", "")}.stomp`], query, token, address);
  socket.send(`CONNECT\naccept-version:${version}\nhost:chat\n\n\0`);
  const answer = await socket.next();
  if (!answer.startsWith("CONNECTED")) throw new Error(answer);
  return socket;
}
