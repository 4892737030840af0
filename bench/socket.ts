import WebSocket from "ws";

/**
 * Opens a bare WebSocket, connects, and subscribes to these destinations under the ids that stock clients
 * choose, or under those of `idOf`. `packed` asks for several frames in one WebSocket message. Throws what the
 * server says if it refuses.
 */
export async function openSocket(
  url: string,
  destinations: readonly string[],
  packed = false,
  idOf = (place: number): string => `sub-${place}`,
): Promise<WebSocket> {
  const more = packed ? "packed:true\n" : "";
  const socket = new WebSocket(url, ["v12.stomp"]);
  await new Promise<void>((resolve, reject) => {
    let next = 0;
    socket.once("error", reject);
    socket.once("open", () => socket.send("CONNECT\naccept-version:1.2\nhost:chat\n\n\0"));
    socket.on("message", function ready(data: Buffer) {
      const text = data.toString();
      if (!/^(CONNECTED|RECEIPT)/.test(text)) reject(new Error(text));
      else if (next < destinations.length) {
        socket.send(`SUBSCRIBE\nid:${idOf(next)}\ndestination:${destinations[next]}\nreceipt:s\n${more}\n\0`);
        next += 1;
      } else {
        socket.off("message", ready);
        resolve();
      }
    });
  });
  return socket;
}
