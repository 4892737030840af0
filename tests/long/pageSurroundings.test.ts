import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import {
  DEMO,
  introduceDemo,
  isConnected,
  pageOf,
  rowOf,
  say,
  screenshot,
  useBrowser,
  visit,
} from "../support/browser.js";
import { chaosProxy } from "../support/chat.js";
import { connect, fill, makeRoom, until } from "../support/client.js";

useBrowser();
const { Ann, Ben, Chloe, Dora } = DEMO;

beforeAll(introduceDemo);

const stored = (page: Page, text: string) => rowOf(page, text).and(page.locator("[data-state=stored]"));

describe("without a network", () => {
  test("the page says so at once, and goes on when it is back", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const page = await pageOf("Ann", { roomId });
    await page.context().setOffline(true);
    await page.getByTestId("offline").waitFor();
    await screenshot(page, "offline");
    await say(page, "written meanwhile");
    await page.locator("[data-state=sending]").waitFor();
    await page.context().setOffline(false);
    await stored(page, "written meanwhile").waitFor();
    await page.getByTestId("offline").waitFor({ state: "detached" });
  });

  test("a notice that comes or goes moves nothing", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    await fill(roomId, Ann, 30);
    const proxy = await chaosProxy();
    for (const viewport of [
      { width: 1280, height: 800 },
      { width: 390, height: 844 },
    ]) {
      const page = await pageOf("Ann", { roomId, through: proxy, viewport });
      await stored(page, "message 30").waitFor();
      const places = async () => {
        const boxes = ["header", ".log", ".composer", "[data-seq='30']", "[data-seq='20']"].map((name) =>
          page.locator(name).locator("visible=true").last().boundingBox(),
        );
        return Promise.all(boxes);
      };
      const before = await places();
      proxy.mood = { failCall: 1 };
      proxy.cut();
      await page.getByText(/No connection. Trying again in/).waitFor();
      expect(await places()).toEqual(before);
      proxy.mood = {};
      await isConnected(page);
      await page.getByText(/No connection. Trying again in/).waitFor({ state: "detached" });
      expect(await places()).toEqual(before);
    }
  });

  test("a list of members that could not be loaded is loaded again", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const page = await pageOf("Ann");
    await page.clock.install();
    await page.reload();
    await isConnected(page);
    let asked = 0;
    await page.route("**/group-rooms/*/members", (route) => {
      asked += 1;
      return route.fulfill({ status: 503 });
    });
    await page.locator(`[data-room-id="${roomId}"]`).click();
    await page.getByRole("button", { name: "Members and settings" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("The members could not be loaded.").waitFor();
    // At once, not when the client would have tried by itself: its time stands still.
    await page.clock.pauseAt(Date.now() + 60_000);
    const before = asked;
    await dialog.getByRole("button", { name: "Try again" }).click();
    await until(() => asked > before, "it is asked for again");
    await page.clock.resume();
    await page.unroute("**/group-rooms/*/members");
    await dialog.getByRole("listitem").getByText("Ben").waitFor();
    await dialog.getByText("The members could not be loaded.").waitFor({ state: "detached" });
  });
});

describe("sessions", () => {
  test("all others are ended, and this one stays", async () => {
    const [here, there] = [await pageOf("Dora"), await pageOf("Dora")];
    const roomId = await makeRoom([Dora, Ben]);
    await here.getByRole("button", { name: "Settings", exact: true }).click();
    await here.getByRole("button", { name: "End all other sessions" }).click();
    await here.getByRole("dialog").last().getByRole("button", { name: "End all other sessions" }).click();
    await there.getByRole("alert").getByText("You were signed out everywhere.").waitFor();
    await here.getByText("All other sessions have ended.").waitFor();
    await isConnected(here);
    await here.keyboard.press("Escape");
    await here.locator(`[data-room-id="${roomId}"]`).click();
    await say(here, "still here");
    await stored(here, "still here").waitFor();
  });

  test("all are ended, this one too", async () => {
    const [here, there] = [await pageOf("Chloe"), await pageOf("Chloe")];
    await here.getByRole("button", { name: "Settings", exact: true }).click();
    await here.getByRole("button", { name: "Sign out everywhere" }).click();
    await here.getByRole("dialog").last().getByRole("button", { name: "Sign out everywhere" }).click();
    await here.getByText("Who are you?").waitFor();
    await there.getByRole("alert").getByText("You were signed out everywhere.").waitFor();
    // Nor does a reload come back.
    await here.reload();
    await here.getByText("Who are you?").waitFor();
  });
});

describe("notifications", () => {
  /** What the page asks the browser for, and what it tells. */
  const recorder = `
    window.told = [];
    window.asked = 0;
    const { requestPermission } = Notification;
    Notification.requestPermission = () => { window.asked += 1; return requestPermission.call(Notification); };
    window.Notification = new Proxy(Notification, {
      construct: (target, [title, options]) => {
        window.told.push({ title, body: options.body });
        return new target(title, options);
      },
    });`;

  test("are asked for by a click only, and tell of what is not in front of the user", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const other = await makeRoom([Ann, Chloe]);
    const page = await visit({ permissions: ["notifications"] });
    await page.addInitScript(recorder);
    await page.reload();
    await page.getByRole("button", { name: "Ann" }).click();
    await isConnected(page);
    await page.locator(`[data-room-id="${roomId}"]`).click();
    const [ben, chloe] = [
      await connect(Ben, { nickname: "Ben" }),
      await connect(Chloe, { nickname: "Chloe" }),
    ];
    await chloe.say(other, "before it is switched on");
    await page.locator(`[data-room-id="${other}"]`).getByText("before it is switched on").waitFor();
    expect(await page.evaluate("[told.length, asked]")).toEqual([0, 0]);
    await page.getByRole("button", { name: "Settings", exact: true }).click();
    await page.getByRole("switch", { name: "Notifications" }).check();
    await page.keyboard.press("Escape");
    await ben.say(roomId, "in the open room");
    await stored(page, "in the open room").waitFor();
    await chloe.say(other, "<b>elsewhere</b>");
    await until(async () => (await page.evaluate("told.length")) === 1, "it is told");
    expect(await page.evaluate("told")).toEqual([
      { title: "\u2068Chloe\u2069 · \u2068room\u2069", body: "<b>elsewhere</b>" },
    ]);
    // The choice is kept.
    await page.reload();
    await isConnected(page);
    // The page hears a room some time after it is connected: what was written before is no news.
    await until(async () => {
      await chloe.say(other, "after a reload");
      return (await page.evaluate<number>("told.length")) > 0;
    }, "it is told again");
    await ben.close();
    await chloe.close();
  });
});

test("a file that is dropped on the page does not take its place", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  const page = await pageOf("Ann", { roomId });
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: ["/etc/hostname"], dragOperationsMask: 1 };
  const address = page.url();
  for (const name of [".log", "textarea", ".side"]) {
    const box = (await page.locator(name).first().boundingBox())!;
    const at = { x: box.x + box.width / 2, y: box.y + box.height / 2, data };
    for (const type of ["dragEnter", "dragOver", "drop"])
      await session.send("Input.dispatchDragEvent", { type, ...at } as never);
    await page.getByText("Files can't be sent.").waitFor();
    await page.getByRole("button", { name: "Dismiss" }).click();
  }
  expect(page.url()).toBe(address);
  expect(page.context().pages()).toHaveLength(1);
});

describe("before the script has come", () => {
  test("the page looks like itself already, and nothing jumps when it does", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const page = await pageOf("Ann", { roomId });
    const places = () =>
      Promise.all(
        [".side", ".sideHead", ".roomHead", ".composer"].map((name) => page.locator(name).boundingBox()),
      );
    await page.getByTestId("log").waitFor();
    const drawn = await places();
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    await page.route("**/assets/*.js", async (route) => {
      await held;
      await route.continue();
    });
    await page.reload({ waitUntil: "commit" });
    await page.locator(".shellChat").waitFor();
    await until(
      async () => Number(await page.evaluate("performance.getEntriesByType('paint').length")) > 0,
      "it is painted",
    );
    expect(await places()).toEqual(drawn);
    await screenshot(page, "first-paint");
    letGo();
    await isConnected(page);
    expect(await places()).toEqual(drawn);
  });

  test("who has not chosen a user sees where the choice will be", async () => {
    const page = await visit();
    await page.getByRole("button", { name: "Ann" }).waitFor();
    const drawn = await page.locator(".signIn").boundingBox();
    await page.route("**/assets/*.js", () => {});
    await page.reload({ waitUntil: "commit" });
    await page.locator(".shellChoice").waitFor();
    await screenshot(page, "first-paint-choice");
    expect((await page.locator(".signIn").boundingBox())!.width).toBe(drawn!.width);
  });
});
