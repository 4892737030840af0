import { Client, type IFrame } from "@stomp/stompjs";
import WebSocket from "ws";
import { type Hearing, type Link, watch } from "./link.js";
import type { Frame } from "./stompFrames.js";

const frameOf = ({ command, headers, body }: IFrame): Frame => ({ command, headers: { ...headers }, body });

/** A connection of the stock client `@stomp/stompjs`, which numbers its subscriptions. */
export function openStompJs(url: string, hearing: Hearing): Link {
  let socket: WebSocket | undefined;
  let subscriptions = 0;
  const client = new Client({
    webSocketFactory: () => {
      socket = new WebSocket(url, ["v12.stomp"], { handshakeTimeout: 10_000 });
      watch(socket);
      return socket;
    },
    reconnectDelay: 0,
    heartbeatIncoming: 0,
    heartbeatOutgoing: 0,
    onConnect: () => hearing.connected(),
    onStompError: (frame) => hearing.frame(frameOf(frame)),
    onUnhandledReceipt: (frame) => hearing.frame(frameOf(frame)),
    onWebSocketClose: () => hearing.closed(),
  });
  client.activate();
  return {
    send: (frame) => (client.connected ? sendBy(client, frame, hearing) : undefined),
    subscriptionId: () => `sub-${subscriptions++}`,
    end: () => void client.deactivate(),
    cut: () => socket?.terminate(),
  };
}

function sendBy(client: Client, { command, headers, body }: Frame, hearing: Hearing): void {
  const { destination = "", id = "" } = headers;
  if (command === "SUBSCRIBE")
    client.subscribe(destination, (message) => hearing.frame(frameOf(message)), { ...headers });
  else if (command === "UNSUBSCRIBE") client.unsubscribe(id);
  else client.publish({ destination, headers: { ...headers }, body });
}
