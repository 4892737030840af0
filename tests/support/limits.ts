import { expect } from "vitest";
import { type HttpAnswer, until } from "./client.js";
import { openConnected, type RawSocket } from "./rawSocket.js";

export const times = <T>(count: number, one: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => one(index));

export const send = (destination: string, body: object, receipt: string): string =>
  `SEND\ndestination:${destination}\nreceipt:${receipt}\n\n${JSON.stringify(body)}\0`;

export const message = (roomId: number, id: string): string =>
  send("/pub/chat/message", { roomId, content: id, clientMessageId: id }, id);

export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly retryAfter: number;
  readonly roomId?: number;
  readonly clientMessageId?: string;
}

/** A connection that listens on `/user/queue/errors`, and what it has heard so far. */
export interface Listener {
  readonly socket: RawSocket;
  receipts(): string[];
  refusals(): Refusal[];
}

export async function listener(user: number, webPubSub?: string): Promise<Listener> {
  const socket = await openConnected(user, "1.2", undefined, "", webPubSub);
  socket.send("SUBSCRIBE\nid:e\ndestination:/user/queue/errors\nreceipt:e\n\n\0");
  expect(await socket.next()).toBe("RECEIPT\nreceipt-id:e\n\n\0");
  const text = (): string => socket.arrived.join("");
  return {
    socket,
    receipts: () => [...text().matchAll(/RECEIPT\nreceipt-id:([^\n]+)\n\n\0/g)].map(([, id]) => id!),
    refusals: () =>
      [...text().matchAll(/MESSAGE\nsubscription:e\n[^\0]*\n\n([^\0]+)\0/g)].map(([, body]) =>
        JSON.parse(body!),
      ),
  };
}

export const listeners = async (user: number, count: number, webPubSub?: string): Promise<Listener[]> => {
  const opened = [];
  for (let index = 0; index < count; index += 1) opened.push(await listener(user, webPubSub));
  return opened;
};

export const receiptsOf = (all: readonly Listener[]): string[] => all.flatMap((one) => one.receipts());
export const refusalsOf = (all: readonly Listener[]): Refusal[] => all.flatMap((one) => one.refusals());

export const answered = (all: readonly Listener[], count: number): Promise<void> =>
  until(() => receiptsOf(all).length + refusalsOf(all).length >= count, `${count} frames are answered`);

/** Sends frames in WebSocket messages of at most twenty and waits until all of them are answered. */
export async function deliver(one: Listener, frames: readonly string[]): Promise<void> {
  const before = one.receipts().length + one.refusals().length;
  for (let first = 0; first < frames.length; first += 20)
    one.socket.send(frames.slice(first, first + 20).join(""));
  await answered([one], before + frames.length);
}

export const closeAll = async (all: readonly Listener[]): Promise<void> => {
  for (const { socket } of all) await socket.close();
};

/** The refusal of one more frame of a kind. */
export function expectLimited(refusal: Refusal | undefined, limit: number, what: string): void {
  const { retryAfter } = refusal ?? { retryAfter: 0 };
  expect(refusal).toMatchObject({
    type: "ERROR",
    code: "RATE_LIMIT_EXCEEDED",
    message: `At most ${limit} ${what} a minute; try again in ${retryAfter} s.`,
  });
  expect(Number.isInteger(retryAfter)).toBe(true);
  expect(retryAfter).toBeGreaterThanOrEqual(1);
  expect(retryAfter).toBeLessThanOrEqual(61);
}

/** The same of one more call. */
export function expect429({ status, headers, body }: HttpAnswer, limit: number, what: string): void {
  expect(body).toEqual({
    type: "about:blank",
    title: "RATE_LIMIT_EXCEEDED",
    status: 429,
    detail: `At most ${limit} ${what} a minute; try again in ${body.retryAfter} s.`,
    code: "RATE_LIMIT_EXCEEDED",
    retryAfter: body.retryAfter,
  });
  expect(status).toBe(429);
  expect(headers.get("content-type")).toBe("application/problem+json");
  expect(headers.get("retry-after")).toBe(String(body.retryAfter));
  expect(body.retryAfter).toBeGreaterThanOrEqual(1);
  expect(body.retryAfter).toBeLessThanOrEqual(61);
}
