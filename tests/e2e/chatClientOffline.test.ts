import { afterEach, expect, test, vi } from "vitest";
import { DEMO, isConnected, pageOf, rowOf, say, useBrowser } from "../support/browser.js";
import { chaosProxy, connected, opened } from "../support/chat.js";
import { history, makeRoom, newUsers, until } from "../support/client.js";

useBrowser();
afterEach(() => void vi.useRealTimers());

const waiting = (page: Awaited<ReturnType<typeof pageOf>>) =>
  page.locator("body[data-connection=waiting], body[data-connection=connecting]");

/** Someone whom no other file's pages are of: they would fight for places. */
const CHLOE = "Chloe";

test("a page hears at once that its device is offline, and is back as soon as that is over", async () => {
  const [ben] = newUsers(1) as [number];
  const roomId = await makeRoom([DEMO[CHLOE], ben]);
  const page = await pageOf(CHLOE, { roomId });
  await page.context().setOffline(true);
  await waiting(page).waitFor();
  await say(page, "written offline");
  await rowOf(page, "written offline").and(page.locator("[data-state=sending]")).waitFor();
  // It has failed so often by now that it would wait for long.
  await page.waitForTimeout(8_000);
  await page.context().setOffline(false);
  await isConnected(page);
  await rowOf(page, "written offline").and(page.locator("[data-state=stored]")).waitFor();
  expect((await history(roomId, ben)).map(({ content }) => content)).toEqual(["written offline"]);
});

test("a browser that is wrong about being offline is no reason to stay away", async () => {
  const page = await pageOf(CHLOE);
  await page.evaluate('window.dispatchEvent(new Event("offline"))');
  await waiting(page).waitFor();
  await isConnected(page);
});

test("a page whose database is deleted while it can't send loses nothing by that, nor by a reload", async () => {
  const [ben] = newUsers(1) as [number];
  const roomId = await makeRoom([DEMO[CHLOE], ben]);
  const proxy = await chaosProxy();
  const page = await pageOf(CHLOE, { roomId, through: proxy });
  proxy.mood = { failCall: 1 };
  proxy.cut();
  await waiting(page).waitFor();
  await say(page, "first");
  await rowOf(page, "first").and(page.locator("[data-state=sending]")).waitFor();
  const deleted = await page.evaluate(`new Promise((resolve) => {
    const request = indexedDB.deleteDatabase("nonstop-chat-outbox");
    request.onsuccess = () => resolve("deleted");
    request.onblocked = () => resolve("blocked");
  })`);
  expect(deleted).toBe("deleted");
  await say(page, "second");
  await rowOf(page, "second").and(page.locator("[data-state=sending]")).waitFor();
  await page.reload();
  proxy.mood = {};
  await isConnected(page);
  await rowOf(page, "second").and(page.locator("[data-state=stored]")).waitFor();
  expect((await history(roomId, ben)).map(({ content }) => content)).toEqual(["first", "second"]);
});

test("a network that died without a word is noticed in 130 seconds, though nobody says anything", async () => {
  vi.useFakeTimers({
    shouldAdvanceTime: true,
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
  });
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  const client = await connected(ann, { url: proxy.url });
  await opened(client, roomId);
  proxy.mood = { isDead: true };
  for (let seconds = 0; seconds < 115; seconds += 1) await vi.advanceTimersByTimeAsync(1_000);
  expect(client.connection.status).toBe("connected");
  for (let seconds = 0; seconds < 20; seconds += 1) await vi.advanceTimersByTimeAsync(1_000);
  expect(client.connection.status).not.toBe("connected");
});

test("and in twenty seconds by whoever says something", async () => {
  vi.useFakeTimers({
    shouldAdvanceTime: true,
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
  });
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  const client = await connected(ann, { url: proxy.url });
  const room = await opened(client, roomId);
  proxy.mood = { isDead: true };
  const sent = room.send("into nothing");
  for (let seconds = 0; seconds < 21; seconds += 1) await vi.advanceTimersByTimeAsync(1_000);
  expect(client.connection.status).not.toBe("connected");
  proxy.mood = {};
  proxy.cut();
  await until(() => client.connection.status === "connected", "it is back");
  await expect(sent).resolves.toMatchObject({ content: "into nothing", seq: 1 });
});
