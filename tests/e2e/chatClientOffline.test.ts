import { afterEach, expect, test, vi } from "vitest";
import { DEMO, isConnected, pageOf, rowOf, say, stopClock, useBrowser } from "../support/browser.js";
import { chaosProxy, connected, opened } from "../support/chat.js";
import { history, makeRoom, newUsers, until } from "../support/client.js";

useBrowser();
afterEach(() => void vi.useRealTimers());

const waiting = (page: Awaited<ReturnType<typeof pageOf>>) =>
  page.locator("body[data-connection=waiting], body[data-connection=connecting]");

/** Has this process's clock go on by `pass`, and by itself. */
function takeOverClock(): void {
  vi.useFakeTimers({
    shouldAdvanceTime: true,
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
  });
}

/** Lets the clock go on to a moment; it does by itself, too, while this machine works. */
async function pass(to: number): Promise<void> {
  while (Date.now() < to) await vi.advanceTimersByTimeAsync(Math.min(1_000, to - Date.now()));
}

/** Someone whom no other file's pages are of: they would fight for places. */
const CHLOE = "Chloe";

test("a page hears at once that its device is offline, and is back as soon as that is over", async () => {
  const [ben] = newUsers(1) as [number];
  const roomId = await makeRoom([DEMO[CHLOE], ben]);
  const page = await pageOf(CHLOE, { roomId });
  // Without time nothing comes by a time-out, nor after a pause.
  await stopClock(page);
  await page.context().setOffline(true);
  await waiting(page).waitFor();
  await say(page, "written offline");
  await rowOf(page, "written offline").and(page.locator("[data-state=sending]")).waitFor();
  await page.context().setOffline(false);
  await isConnected(page);
  await page.clock.resume();
  await rowOf(page, "written offline").and(page.locator("[data-state=stored]")).waitFor();
  expect((await history(roomId, ben)).map(({ content }) => content)).toEqual(["written offline"]);
});

test("a browser that is wrong about being offline is no reason to stay away", async () => {
  const page = await pageOf(CHLOE);
  await page.evaluate(`window.states = [];
    new MutationObserver((changes) => states.push(...changes.map(({ oldValue }) => oldValue)))
      .observe(document.body, { attributeFilter: ["data-connection"], attributeOldValue: true });
    window.dispatchEvent(new Event("offline"));`);
  const states = () => page.evaluate<readonly string[]>("states");
  // It was left and came back.
  await expect.poll(states).toEqual(expect.arrayContaining(["connected", "waiting", "connecting"]));
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
  takeOverClock();
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  const client = await connected(ann, { url: proxy.url });
  await opened(client, roomId);
  proxy.mood = { isDead: true };
  const died = Date.now();
  await pass(died + 115_000);
  expect(client.connection.status).toBe("connected");
  await pass(died + 135_000);
  expect(client.connection.status).not.toBe("connected");
});

test("and in twenty seconds by whoever says something", async () => {
  takeOverClock();
  const [ann, ben] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann, ben]);
  const proxy = await chaosProxy();
  const client = await connected(ann, { url: proxy.url });
  const room = await opened(client, roomId);
  proxy.mood = { isDead: true };
  const sent = room.send("into nothing");
  await pass(Date.now() + 21_000);
  expect(client.connection.status).not.toBe("connected");
  proxy.mood = {};
  proxy.cut();
  await until(async () => {
    // The pauses between its tries have grown; a try itself needs real time.
    if (client.connection.status === "waiting") await pass(Date.now() + 1_000);
    return client.connection.status === "connected";
  }, "it is back");
  await expect(sent).resolves.toMatchObject({ content: "into nothing", seq: 1 });
});
