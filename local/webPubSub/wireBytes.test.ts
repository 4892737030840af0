import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { WireBytes } from "./wireBytes.js";

test("bytes of both directions count, until a socket closes or leaves", async () => {
  const wire = new WireBytes();
  const left: Socket[] = [];
  const server = createServer((socket) => {
    wire.add(socket);
    left.push(socket);
    socket.on("data", (data: Buffer) => socket.write(data));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const echoed = async (socket: Socket, text: string): Promise<void> => {
    socket.write(text);
    await once(socket, "data");
  };
  const [one, other] = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  await echoed(one, "12345");
  await echoed(other, "123");
  expect(wire.total).toBe(16);
  const [first, second] = left as [Socket, Socket];
  const ended = once(first, "close");
  one.end();
  first.end();
  await ended;
  expect(wire.total).toBe(16);
  wire.leave(second);
  wire.leave(second);
  await echoed(other, "1234567");
  expect(wire.total).toBe(16);
  other.destroy();
  server.close();
});
