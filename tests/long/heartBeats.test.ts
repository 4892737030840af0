import { expect, test } from "vitest";
import { newUsers, until } from "../support/client.js";
import { open, type RawSocket } from "../support/rawSocket.js";

test("who wants heart-beats is promised one a minute, and gets them", async () => {
  const [ann] = newUsers(1) as [number];
  const answers = [];
  const sockets: RawSocket[] = [];
  for (const header of ["", "heart-beat:0,0\n", "heart-beat:10000,0\n", "heart-beat:10000,10000\n"]) {
    const socket = await open(ann);
    sockets.push(socket);
    socket.send(`CONNECT\naccept-version:1.2\n${header}\n\0`);
    answers.push(/\nheart-beat:(.*)\n/.exec(await socket.next())?.[1]);
    if (sockets.length < 4) await socket.close();
  }
  expect(answers).toEqual(["0,0", "0,0", "0,0", "60000,0"]);
  await until(() => sockets[3]!.arrived.length > 0, "a heart-beat");
  expect(sockets[3]!.arrived).toEqual(["\n"]);
  expect(sockets.slice(0, 3).map(({ arrived }) => arrived)).toEqual([[], [], []]);
  await sockets[3]!.close();
});
