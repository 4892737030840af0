import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { afterEach, expect } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { decodeFrames } from "../../client/stompFrames.js";
import type { Member, Message, RoomSummary } from "../../client/types.js";

/**
 * A service in a test's own words, for what the client makes of them: also of one that is newer or older than
 * the one beside it.
 */
export const [ANN, BEN, CEM] = [1, 2, 3] as const;
export const ROOM = 7;

export const ended: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

export const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const until = (holds: () => boolean, what: string): Promise<void> =>
  expect.poll(holds, { message: what, interval: 5 }).toBe(true);

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly key: string | undefined;
  readonly body: string;
}
export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/** A service that says what a test wants to be said. */
export class Service {
  readonly asked: Asked[] = [];
  readonly frames: {
    readonly command: string;
    readonly headers: ReadonlyMap<string, string>;
    readonly body: string;
  }[] = [];
  readonly sockets = new Set<WebSocket>();
  readonly handshakes: URL[] = [];
  /** Answers a call; what it leaves open is answered with nothing in it. */
  answer: (asked: Asked) => Answer | undefined | Promise<Answer | undefined> = () => undefined;
  /** Instead of a RECEIPT. */
  reply: (frame: {
    readonly command: string;
    readonly headers: ReadonlyMap<string, string>;
  }) => readonly string[] | undefined = () => undefined;
  /** Refuses handshakes with this status line and headers. */
  refusal: string | undefined;
  /** How a frame stands in its WebSocket message. */
  dress = (frame: string): readonly string[] => [frame];
  url = "";

  async start(): Promise<this> {
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "v12.stomp" });
    const server = createServer((request, response) => void this.#answer(request, response));
    server.on("upgrade", (request, socket, head) => {
      this.handshakes.push(new URL(request.url ?? "", this.url));
      if (this.refusal) socket.end(`HTTP/1.1 ${this.refusal}\r\ncontent-length: 0\r\n\r\n`);
      else sockets.handleUpgrade(request, socket, head, (client) => this.#open(client));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    ended.push(async () => {
      for (const socket of this.sockets) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return this;
  }

  /** To all who have subscribed. */
  tell(destination: string, body: object): void {
    this.say(`MESSAGE\nsubscription:${destination}\ndestination:${destination}\n\n${JSON.stringify(body)}\0`);
  }

  say(frame: string): void {
    for (const socket of this.sockets) for (const text of this.dress(frame)) socket.send(text);
  }

  asksFor(path: RegExp): readonly Asked[] {
    return this.asked.filter((asked) => path.test(asked.path));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const asked: Asked = {
      method: request.method ?? "",
      path: (request.url ?? "").replace("/api/v1/chat", ""),
      key: request.headers["idempotency-key"] as string | undefined,
      body: Buffer.concat(chunks).toString(),
    };
    this.asked.push(asked);
    const {
      status = 200,
      headers = {},
      body,
    } = (await this.answer(asked)) ?? { body: this.#usual(asked.path) };
    response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(JSON.stringify(body ?? {}));
  }

  #usual(path: string): object {
    if (path === "/negotiate")
      return { url: `${this.url.replace("http", "ws")}/client`, protocol: "v12.stomp" };
    if (path.startsWith("/rooms?")) return { rooms: [], cursor: null };
    if (path.includes("/messages")) return { messages: [] };
    return path.endsWith("/members") ? { members: [] } : {};
  }

  #open(socket: WebSocket): void {
    this.sockets.add(socket);
    socket.once("close", () => this.sockets.delete(socket));
    const say = (frame: string) => {
      for (const text of this.dress(frame)) socket.send(text);
    };
    say("CONNECTED\nversion:1.2\nsession:c-1\nuser-name:1\nheart-beat:0,0\n\n\0");
    socket.on("message", (data) => {
      for (const frame of decodeFrames(String(data))) {
        this.frames.push(frame);
        const receipt = `RECEIPT\nreceipt-id:${frame.headers.get("receipt")}\n\n\0`;
        for (const text of this.reply(frame) ?? [receipt]) say(text);
      }
    });
  }
}

export const tokenOf = (userId: number): string => {
  const payload = { sub: String(userId), exp: Math.floor(Date.now() / 1_000) + 3_600 };
  return `x.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.x`;
};

export const summary = (more: Partial<RoomSummary> = {}): RoomSummary => ({
  roomId: ROOM,
  type: "GROUP",
  name: "room",
  imageUrl: null,
  memberCount: 3,
  unreadCount: 0,
  lastMessage: null,
  ...more,
});
export const message = (seq: number, more: Partial<Message> = {}): Message => ({
  messageId: 100 + seq,
  seq,
  roomId: ROOM,
  senderId: BEN,
  senderNickname: "Ben",
  clientMessageId: `${seq}`,
  type: "TEXT",
  content: `message ${seq}`,
  sentAt: "2026-01-02T03:04:05.678Z",
  unreadCount: 1,
  ...more,
});
export const member = (
  userId: number,
  lastReadMessageId: number | null,
  more: Partial<Member> = {},
): Member => ({
  userId,
  nickname: `user ${userId}`,
  profileImageUrl: null,
  joinedAt: "2026-01-01T00:00:00.000Z",
  isCreator: userId === ANN,
  lastReadMessageId,
  ...more,
});
export const roomsAnswer = (...rooms: RoomSummary[]): Answer => ({ body: { rooms, cursor: null } });
export const tellRoom = (service: Service, one: Message) => service.tell(`/sub/chat/room/${one.roomId}`, one);
export const isHeard = (service: Service, roomId: number) =>
  service.frames.some(({ headers }) => headers.get("destination") === `/sub/chat/room/${roomId}`);
