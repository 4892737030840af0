import type { AckMessageError, WebPubSubClientProtocol, WebPubSubMessage } from "@azure/web-pubsub-client";
import { decodeFrames, encodeFrame, type Frame, utf8Length } from "./stompFrames.js";

export interface StompProtocolOptions {
  /** Called for more headers each time a SUBSCRIBE is written, for example `last-seq` for a room. */
  readonly subscribeHeaders?: (destination: string) => Readonly<Record<string, string>>;
  /**
   * Hears of a frame that can't be read. The rest of its WebSocket message is left out; the connection goes
   * on.
   */
  readonly onUnreadable?: (error: Error) => void;
  /** Hears of each WebSocket message before it is read, also of a heart-beat. */
  readonly onHeard?: () => void;
  /**
   * Hears how often the service promises to say something, in milliseconds, where its CONNECTED promises
   * that.
   */
  readonly onHeartBeat?: (everyMs: number) => void;
}

/** The `errorDetail` of a rejected call: `name` is the service's code. */
export interface RefusalDetail extends AckMessageError {
  /** Seconds. */
  readonly retryAfter?: number;
  readonly roomId?: number;
  readonly clientMessageId?: string | number;
}

const ACK = "ack-";
const PING = "ping";
const ROOM_GROUP = /^\/sub\/chat\/room\/(\d+)$/;
const SEND_MESSAGE = "/pub/chat/message";
/** The largest body that the service takes. It closes a connection that sends a larger one. */
export const MAX_BODY_BYTES = 65_536;

/**
 * STOMP 1.2 for the unmodified `WebPubSubClient`: a group is a destination. Its URL needs `connect=implicit`,
 * because the SDK can't send CONNECT on open.
 *
 * - `joinGroup(destination)` is SUBSCRIBE with the destination as its id, `leaveGroup` UNSUBSCRIBE. It asks
 *   for packing: several frames in one WebSocket message, which this reads, and which cost the service less.
 * - `sendEvent(destination, data)` is SEND. `sendToGroup` on a room's destination is a message to that room:
 *   its data the content, or an object with it; on any other destination it is SEND.
 * - A call resolves with the frame's RECEIPT. It rejects with the service's reason as `errorDetail`, a
 *   `RefusalDetail`. Join `/user/queue/errors` first: without it a refusal closes the connection.
 * - MESSAGE is a `group-message`, its data parsed where it is JSON. An ERROR is a `server-message` with its
 *   JSON body, and then the text of the `disconnected` event.
 * - A ping of the SDK is the UNSUBSCRIBE of an id that is never in use, answered by its RECEIPT; each is a
 *   call upstream, so `keepAliveIntervalInMs: 0, keepAliveTimeoutInMs: 0` is cheaper, and the socket service
 *   keeps the connection alive.
 *
 * Reading never throws.
 *
 * @example
 * const client = new WebPubSubClient(
 *   { getClientAccessUrl },
 *   { protocol: stompProtocol(), keepAliveIntervalInMs: 0, keepAliveTimeoutInMs: 0 },
 * );
 */
export function stompProtocol(options: StompProtocolOptions = {}): WebPubSubClientProtocol {
  return {
    name: "v12.stomp",
    isReliableSubProtocol: false,
    writeMessage: (message) => write(message, options),
    parseMessages(input) {
      const messages: WebPubSubMessage[] = [];
      options.onHeard?.();
      try {
        for (const frame of decodeFrames(textOf(input))) {
          messages.push(...messagesOf(frame));
          if (frame.command === "CONNECTED") tellHeartBeat(frame.headers.get("heart-beat"), options);
        }
      } catch (error) {
        options.onUnreadable?.(error instanceof Error ? error : new Error(String(error)));
      }
      // With the frames before one that can't be read: the SDK waits without end for an answer that is left
      // out.
      return messages;
    },
  };
}

function write(message: WebPubSubMessage, { subscribeHeaders }: StompProtocolOptions): string {
  switch (message.kind) {
    case "joinGroup": {
      const { group, ackId } = message;
      const own = { id: group, destination: group, ...receipt(ackId) };
      const headers = { packed: "true", ...subscribeHeaders?.(group), ...own };
      return encodeFrame("SUBSCRIBE", headers);
    }
    case "leaveGroup":
      return encodeFrame("UNSUBSCRIBE", { id: message.group, ...receipt(message.ackId) });
    case "sendEvent":
      return send(message.event, message.dataType, message.data, message.ackId);
    case "sendToGroup": {
      const room = ROOM_GROUP.exec(message.group);
      if (!room) return send(message.group, message.dataType, message.data, message.ackId);
      return send(SEND_MESSAGE, "json", toRoom(Number(room[1]), message.data), message.ackId);
    }
    case "ping":
      return encodeFrame("UNSUBSCRIBE", { id: PING, receipt: PING });
    default:
      // The SDK rejects the call with its text.
      throw new Error(
        `STOMP has no frame for ${message.kind}: use joinGroup, leaveGroup, sendToGroup or sendEvent`,
      );
  }
}

const receipt = (ackId: number | undefined): Record<string, string> =>
  ackId === undefined ? {} : { receipt: `${ACK}${ackId}` };

function toRoom(roomId: number, data: unknown): object {
  if (typeof data === "string") return { content: data, roomId };
  if (typeof data === "object" && data !== null && "content" in data) return { ...data, roomId };
  throw new Error("a message to a room is its text, or an object with content");
}

function send(destination: string, type: string, data: unknown, ackId: number | undefined): string {
  const json = type === "json";
  if (!json && typeof data !== "string")
    throw new Error(`STOMP to this service carries text: send "json" or "text", not "${type}"`);
  const body = json ? (JSON.stringify(data) as string | undefined) : (data as string);
  if (body === undefined)
    throw new Error(`JSON can't write ${typeof data}: send an object, a text or a number`);
  const bytes = utf8Length(body);
  if (bytes > MAX_BODY_BYTES)
    throw new Error(`a body of ${bytes} bytes is too large: send at most ${MAX_BODY_BYTES}`);
  const headers = {
    destination,
    "content-type": json ? "application/json" : "text/plain",
    ...receipt(ackId),
  };
  return encodeFrame("SEND", headers, body);
}

/** STOMP 1.2, "Heart-beating": the first number is what the server promises. */
function tellHeartBeat(header: string | undefined, { onHeartBeat }: StompProtocolOptions): void {
  const everyMs = Number(/^(\d{1,9}),\d+$/.exec(header ?? "")?.[1] ?? 0);
  if (everyMs > 0) onHeartBeat?.(everyMs);
}

function messagesOf({ command, headers, body }: Frame): WebPubSubMessage[] {
  switch (command) {
    case "CONNECTED":
      return [
        {
          kind: "connected",
          connectionId: headers.get("session") ?? "",
          userId: headers.get("user-name") ?? "",
          reconnectionToken: "",
        },
      ];
    case "MESSAGE": {
      const group = headers.get("subscription") ?? headers.get("destination") ?? "";
      const content = payload(body);
      const { senderId } = Object(content.data) as { senderId?: unknown };
      const fromUserId = typeof senderId === "number" ? String(senderId) : "";
      return [{ kind: "groupData", group, fromUserId, ...content }, ...refusal(headers, content.data)];
    }
    case "RECEIPT":
      return acknowledged(headers.get("receipt-id"));
    case "ERROR": {
      const content = payload(body);
      const message = headers.get("message") ?? body;
      return [
        { kind: "serverData", ...content },
        ...refusal(headers, content.data),
        { kind: "disconnected", message },
      ];
    }
    default:
      throw new Error(`no frame of a STOMP server: ${command}`);
  }
}

function acknowledged(receiptId: string | undefined): WebPubSubMessage[] {
  if (receiptId === PING) return [{ kind: "pong" }];
  const ackId = ackIdOf(receiptId);
  return ackId === undefined ? [] : [{ kind: "ack", ackId, success: true }];
}

/** The refusal of a frame, by an ERROR or a MESSAGE on `/user/queue/errors` that names the frame. */
function refusal(headers: Frame["headers"], data: unknown): WebPubSubMessage[] {
  const ackId = ackIdOf(headers.get("receipt-id"));
  if (ackId === undefined) return [];
  const told = typeof data === "object" ? data : null;
  const { code, message, type: _, ...rest } = (told ?? {}) as Record<string, unknown>;
  const error: RefusalDetail = {
    ...rest,
    name: String(code ?? "UNAVAILABLE"),
    message: String(message ?? headers.get("message") ?? ""),
  };
  return [{ kind: "ack", ackId, success: false, error }];
}

function ackIdOf(receiptId: string | undefined): number | undefined {
  if (!receiptId?.startsWith(ACK)) return undefined;
  const ackId = Number(receiptId.slice(ACK.length));
  return Number.isSafeInteger(ackId) ? ackId : undefined;
}

/** The body as the SDK takes it: parsed where it is JSON. */
function payload(body: string) {
  try {
    return { dataType: "json", data: JSON.parse(body) } as const;
  } catch {
    return { dataType: "text", data: body } as const;
  }
}

const textOf = (input: unknown): string =>
  typeof input === "string" ? input : new TextDecoder().decode(input as ArrayBuffer);
