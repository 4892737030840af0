import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { makeRoom, newUsers, tokenFor } from "../support/client.js";
import { openConnected } from "../support/rawSocket.js";

const message = (payload: object, headers = ""): string =>
  `SEND\ndestination:/pub/chat/message\n${headers}\n${JSON.stringify(payload)}\0`;

test("a token's end ends the connection at its next frame, unless it was renewed before", async () => {
  const [ann] = newUsers(1) as [number];
  const roomId = await makeRoom([ann]);
  const short = await tokenFor(ann, { expiresIn: 10 });
  const [renewed, expired] = [await openConnected(ann, "1.2", short), await openConnected(ann, "1.2", short)];
  renewed.send(
    `SEND\ndestination:/pub/session/token\nreceipt:t\n\n${JSON.stringify({ token: await tokenFor(ann) })}\0`,
  );
  expect(await renewed.next()).toContain("receipt-id:t");
  await pause(10_100);
  expired.send(message({ roomId, content: "too late" }));
  expect(await expired.next()).toMatch(/^ERROR\n[\s\S]*"code":"TOKEN_EXPIRED"/);
  await expired.closed;
  renewed.send(message({ roomId, content: "in time" }, "receipt:m\n"));
  expect(await renewed.next()).toContain("receipt-id:m");
  await renewed.close();
});
