import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { describe, expect, inject, test } from "vitest";
import WebSocket from "ws";
import { newUsers, tokenFor } from "../support/client.js";

/** The socket service lets in whom `connect` doesn't name: that nobody gets in is this app's affair. */

const service = (): WebPubSubServiceClient =>
  new WebPubSubServiceClient(inject("stack").webPubSubConnection, "chat", { allowInsecureConnection: true });

/** 101 for one that is let in, and stays. */
async function handshake(url: string, headers: Record<string, string>): Promise<[number, WebSocket]> {
  const socket = new WebSocket(url, ["v12.stomp"], { headers });
  socket.on("error", () => {});
  const status = await new Promise<number>((resolve) => {
    socket.on("open", () => resolve(101));
    socket.on("unexpected-response", (_request, response) => resolve(response.statusCode ?? 0));
  });
  return [status, socket];
}

describe("a handshake is answered 401", () => {
  test.each<[name: string, query: (user: number) => Promise<string>, header?: string]>([
    ["without a token", async () => ""],
    ["with an empty one", async () => "?token="],
    ["with the service's own, which names a user, alone", async (user) => serviceToken(user)],
    ["with that and another's forged one", async (user) => `${await serviceToken(user)}&token=a.b.c`],
    ["with a forged one in the header", async () => "", "Bearer a.b.c"],
  ])("%s", async (_name, query, header) => {
    const [user] = newUsers(1) as [number];
    const bearer = header === undefined ? {} : { authorization: header };
    const [status] = await handshake(`${inject("stack").webPubSub}${await query(user)}`, bearer);
    expect(status).toBe(401);
    expect(await service().userExists(String(user))).toBe(false);
  });
});

async function serviceToken(user: number): Promise<string> {
  return new URL((await service().getClientAccessToken({ userId: String(user) })).url).search;
}

test("who is let in is a user by name, whatever else the handshake carries", async () => {
  const [ann, ben] = newUsers(2) as [number, number];
  const headers = { authorization: `Bearer ${await tokenFor(ben)}` };
  const [status, socket] = await handshake(
    `${inject("stack").webPubSub}?token=${await tokenFor(ann)}`,
    headers,
  );
  expect(status).toBe(101);
  expect([await service().userExists(String(ann)), await service().userExists(String(ben))]).toEqual([
    true,
    false,
  ]);
  socket.close();
});

test("a token in the header alone counts, where it arrives", async () => {
  const [ann] = newUsers(1) as [number];
  const headers = { authorization: `Bearer ${await tokenFor(ann)}` };
  const [status, socket] = await handshake(inject("stack").webPubSub, headers);
  expect(status).toBe(101);
  expect(await service().userExists(String(ann))).toBe(true);
  socket.close();
});
