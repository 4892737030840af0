import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import {
  DEMO,
  drawn,
  introduceDemo,
  isConnected,
  pageOf,
  rowOf,
  say,
  shownTexts,
  useBrowser,
  visit,
} from "../support/browser.js";
import { call, fill, history, makeRoom, until } from "../support/client.js";

useBrowser();
const { Ann, Ben } = DEMO;
beforeAll(introduceDemo);

const stored = (page: Page, text: string) => rowOf(page, text).and(page.locator("[data-state=stored]"));

test("a reload keeps the place in a long room", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  await fill(roomId, Ann, 240);
  const page = await pageOf("Ben", { roomId });
  await rowOf(page, "message 240").waitFor();
  const log = page.getByTestId("log");
  const placeOf = (text: string) =>
    page.getByText(text, { exact: true }).evaluate((element) => element.getBoundingClientRect().top);
  // Up through several pages.
  await until(async () => {
    await log.evaluate((element) => element.scrollBy(0, -600));
    return (await page.getByText("message 60", { exact: true }).count()) === 1;
  }, "older ones are loaded");
  await page.getByText("message 75", { exact: true }).scrollIntoViewIfNeeded();
  // The place is kept with the last scroll event.
  await drawn(page);
  const before = await placeOf("message 75");
  await page.reload();
  await isConnected(page);
  await page.getByText("message 75", { exact: true }).waitFor();
  await expect.poll(async () => Math.abs((await placeOf("message 75")) - before)).toBeLessThanOrEqual(2);
});

test("a room of a thousand messages scrolls to its beginning, and what is seen stays in its place", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  await fill(roomId, Ann, 1_000);
  // Ann has read what she wrote: the newest come first.
  const page = await pageOf("Ann", { roomId });
  await rowOf(page, "message 1000").waitFor();
  expect(await page.getByText("message 900", { exact: true }).count()).toBe(0);
  const log = page.getByTestId("log");
  const jumps: number[] = [];
  await until(async () => {
    // How far what is seen has moved when a page was put before it, beyond what was scrolled.
    const jump = await log.evaluate(async (element) => {
      element.scrollTop = Math.max(element.scrollTop, 1) - Math.min(element.scrollTop, 900);
      // The first row loses its name when another one comes before it.
      const row = [...element.querySelectorAll("[data-seq]")]
        .slice(2)
        .find((one) => one.getBoundingClientRect().bottom > element.getBoundingClientRect().top + 50)!;
      const before = row.getBoundingClientRect().top;
      await new Promise((resolve) => setTimeout(resolve, 120));
      return Math.abs(row.getBoundingClientRect().top - before);
    });
    jumps.push(jump);
    return (await page.getByText("This is where the conversation begins").count()) === 1;
  }, "the beginning is there");
  expect(Math.max(...jumps)).toBeLessThanOrEqual(2);
  expect(await shownTexts(page)).toEqual(Array.from({ length: 1_000 }, (_, index) => `message ${index + 1}`));
  await say(page, "and the newest");
  await rowOf(page, "and the newest").waitFor();
  await expect
    .poll(() => log.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight))
    .toBeLessThan(48);
});

test("older ones are loaded, too, where a busy browser reports two crossings of the top at once", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  await fill(roomId, Ann, 240);
  const page = await visit({ roomId });
  // As Chromium does when two frames pass before it comes to the report: first that of the frame before.
  await page.addInitScript(`
    const { IntersectionObserver } = window;
    window.IntersectionObserver = class extends IntersectionObserver {
      constructor(callback, options) {
        super((entries, observer) => {
          const before = { isIntersecting: false, target: entries[0].target };
          callback([before, ...entries], observer);
        }, options);
      }
    };`);
  await page.reload();
  await page.getByRole("button", { name: "Ann" }).click();
  await isConnected(page);
  await rowOf(page, "message 240").waitFor();
  await until(async () => {
    await page.getByTestId("log").evaluate((element) => element.scrollTo(0, 0));
    return (await page.getByText("message 1", { exact: true }).count()) === 1;
  }, "the oldest are loaded");
});

test("a room with much that is unread begins at the first of it, and a reload far up comes back to there", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  await fill(roomId, Ann, 1_000);
  const readTo = async (seq: number) => {
    const { body } = await call("GET", `/rooms/${roomId}/messages?after=${seq - 1}&limit=1`, Ben);
    await call("PATCH", `/rooms/${roomId}/read?messageId=${body.messages[0].messageId}`, Ben);
    const unread = async () => {
      const { rooms } = (await call("GET", "/rooms", Ben)).body as { rooms: Record<string, unknown>[] };
      return rooms.find((room) => room["roomId"] === roomId)?.["unreadCount"];
    };
    await until(async () => (await unread()) === 1_000 - seq, "it is read");
  };
  await readTo(300);
  const page = await pageOf("Ben", { roomId });
  const log = page.getByTestId("log");
  const isSeen = (text: string) =>
    page.getByText(text, { exact: true }).evaluate((element) => {
      const [row, frame] = [element.getBoundingClientRect(), element.closest("[data-testid=log]")!];
      const { top, bottom } = frame.getBoundingClientRect();
      return row.top >= top && row.bottom <= bottom;
    });
  await page.locator("[data-testid=log][data-scroll=settled]").waitFor();
  expect(await isSeen("message 300")).toBe(true);
  expect(await isSeen("New messages")).toBe(true);
  expect(await isSeen("message 301")).toBe(true);
  const [line, first] = [page.locator("li.newLine"), page.getByText("message 301", { exact: true })];
  expect((await line.boundingBox())!.y).toBeLessThan((await first.boundingBox())!.y);
  await until(async () => {
    await log.evaluate((element) => element.scrollBy(0, -2_000));
    return (await page.getByText("message 120", { exact: true }).count()) === 1;
  }, "older ones are loaded");
  await page.getByText("message 120", { exact: true }).scrollIntoViewIfNeeded();
  // The place is kept with the last scroll event.
  await drawn(page);
  await page.reload();
  await page.locator("[data-testid=log][data-scroll=settled]").waitFor();
  expect(await isSeen("message 120")).toBe(true);
});

describe("a room of five thousand messages", () => {
  test("begins at the first unread one, and is scrolled without losing the place", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    await fill(roomId, Ann, 5_000);
    const page = await pageOf("Ben", { roomId });
    await page.locator("[data-testid=log][data-scroll=settled]").waitFor();
    const line = page.locator("li.newLine");
    expect((await line.boundingBox())!.y).toBeLessThan(
      (await page.getByText("message 1", { exact: true }).boundingBox())!.y,
    );
    expect(await line.evaluate((one) => one.getBoundingClientRect().top > 0)).toBe(true);
    // What is seen moves as far as was scrolled, whatever was guessed at above and below it.
    const worst = await page.getByTestId("log").evaluate(async (log) => {
      const { requestAnimationFrame, document } = log.ownerDocument.defaultView!;
      let worst = 0;
      for (const step of [700, 9_000, -700, 500, -4_000, 800, 800, -1_500, 60_000, -800, -800, -300]) {
        log.scrollTop += step;
        for (let frames = 0; frames < 20; frames += 1) await new Promise(requestAnimationFrame);
        const { left, top, width } = log.getBoundingClientRect();
        const seen = document.elementFromPoint(left + width / 2, top + 300)?.closest("[data-chunk]");
        const row = [...(seen?.querySelectorAll("[data-seq]") ?? [])].find(
          (one) => one.getBoundingClientRect().top > top,
        );
        const before = row?.getBoundingClientRect().top ?? 0;
        log.scrollTop -= 300;
        for (let frames = 0; frames < 10; frames += 1) await new Promise(requestAnimationFrame);
        worst = Math.max(worst, Math.abs((row?.getBoundingClientRect().top ?? 0) - before - 300));
      }
      return worst;
    });
    expect(worst).toBeLessThanOrEqual(2);
  });

  test("grows upward page by page, and what is seen stays where it is", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    await fill(roomId, Ann, 400);
    const page = await pageOf("Ann", { roomId });
    await page.locator("[data-testid=log][data-scroll=settled]").waitFor();
    const jumps = await page.getByTestId("log").evaluate(async (log) => {
      const { requestAnimationFrame } = log.ownerDocument.defaultView!;
      const jumps: number[] = [];
      while (log.querySelectorAll("[data-seq]").length < 400) {
        const count = log.querySelectorAll("[data-seq]").length;
        log.scrollTop = 20;
        const rows = [...log.querySelectorAll("[data-seq]")];
        const row = rows.find(
          (one) => one.getBoundingClientRect().top > log.getBoundingClientRect().top + 200,
        )!;
        const before = row.getBoundingClientRect().top;
        while (log.querySelectorAll("[data-seq]").length === count) await new Promise(requestAnimationFrame);
        for (let frames = 0; frames < 10; frames += 1) await new Promise(requestAnimationFrame);
        jumps.push(Math.abs(row.getBoundingClientRect().top - before));
      }
      return jumps;
    });
    expect(jumps.length).toBeGreaterThanOrEqual(5);
    expect(Math.max(...jumps)).toBeLessThanOrEqual(2);
  });
});

test("when hundreds of messages are read at once, all their counts fall", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  await fill(roomId, Ann, 300);
  const page = await pageOf("Ann", { roomId });
  await stored(page, "message 300").waitFor();
  expect(await stored(page, "message 300").getByTestId("unread").innerText()).toBe("1");
  const { messageId } = (await history(roomId, Ben)).at(-1);
  await call("PATCH", `/rooms/${roomId}/read?messageId=${messageId}`, Ben);
  await expect.poll(() => page.getByTestId("unread").count()).toBe(0);
});
