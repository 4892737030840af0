import WebSocket from "ws";
import { type Hearing, type Link, watch } from "./link.js";
import { parse, serialize } from "./stompFrames.js";

/** A connection of a client that speaks STOMP by itself, and uses destinations as subscription ids. */
export function openRaw(url: string, hearing: Hearing): Link {
  const socket = new WebSocket(url, ["v12.stomp"], { handshakeTimeout: 10_000 });
  watch(socket);
  const send: Link["send"] = (frame) => {
    if (socket.readyState === socket.OPEN) socket.send(serialize(frame));
  };
  const connect = { "accept-version": "1.2", host: "chat", "heart-beat": "0,30000" };
  socket.on("open", () => send({ command: "CONNECT", headers: connect, body: "" }));
  socket.on("message", (data) => {
    for (const frame of parse(data.toString()))
      if (frame.command === "CONNECTED") hearing.connected();
      else hearing.frame(frame);
  });
  socket.on("error", () => socket.terminate());
  socket.on("close", () => hearing.closed());
  return {
    send,
    subscriptionId: (destination) => destination,
    end: () => send({ command: "DISCONNECT", headers: { receipt: "bye" }, body: "" }),
    cut: () => socket.terminate(),
  };
}
