import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { DEMO, introduceDemo, pageOf, rowOf, say, screenshot, useBrowser } from "../support/browser.js";
import { call, connect, makeRoom, newUsers, tokenFor } from "../support/client.js";
import { faults, LOOKS, SCREENS } from "../support/looks.js";

useBrowser();
beforeAll(introduceDemo);

describe.each(LOOKS)("in $colorScheme, $locale, on a $device", (look) => {
  test.each(Object.entries(SCREENS))("%s", async (_name, lookAt) => {
    await lookAt(look);
  });
});

describe.each(["light", "dark"] as const)("in the user's own colours, %s", (colorScheme) => {
  test("everything that a background showed has an edge", async () => {
    const roomId = await makeRoom([DEMO.Ann, DEMO.Ben]);
    const page = await pageOf("Ann", { roomId, colorScheme, forcedColors: "active" });
    await say(page, "seen by its edge");
    await rowOf(page, "seen by its edge").and(page.locator("[data-state=stored]")).waitFor();
    const edge = (name: string) =>
      page
        .locator(name)
        .first()
        .evaluate((one) => one.ownerDocument.defaultView!.getComputedStyle(one).borderTopStyle);
    for (const name of [".bubble", ".avatar", ".day span"]) expect(await edge(name)).toBe("solid");
    await rowOf(page, "seen by its edge")
      .getByRole("button", { name: /actions/ })
      .focus();
    await page.keyboard.press("Enter");
    expect(await edge(".menu")).toBe("solid");
    await screenshot(page, `forced-${colorScheme}-menu`);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Settings", exact: true }).click();
    expect(await edge("dialog")).toBe("solid");
    await screenshot(page, `forced-${colorScheme}-settings`);
    expect(await faults(page)).toEqual([]);
  });
});

test.each([
  ["desktop", { width: 1280, height: 800 }],
  ["phone", { width: 390, height: 844 }],
])("with text twice as large nothing is cut off, on a %s", async (device, viewport) => {
  const roomId = await makeRoom([DEMO.Ann, DEMO.Ben]);
  const page = await pageOf("Ann", { roomId, viewport });
  await say(
    page,
    "Twice as large, and all of it is there: https://example.com/a/rather/long/address?with=more",
  );
  await say(page, "refused \u0007");
  await page.locator("[data-state=refused]").waitFor();
  const size = () =>
    page
      .locator(".bubble")
      .first()
      .evaluate((one) => Number.parseFloat(one.ownerDocument.defaultView!.getComputedStyle(one).fontSize));
  const before = await size();
  await page.locator("html").evaluate((html) => {
    html.style.fontSize = "200%";
  });
  expect(await size()).toBe(before * 2);
  await screenshot(page, `twice-${device}-room`);
  expect(await page.locator("body").evaluate((body) => body.scrollWidth - body.clientWidth)).toBe(0);
  await page.getByRole("button", { name: "Members and settings" }).click();
  await page.getByRole("dialog").getByText("Ben").first().waitFor();
  await screenshot(page, `twice-${device}-members`);
  expect(await page.getByRole("dialog").evaluate((one) => one.scrollWidth - one.clientWidth)).toBe(0);
  await page.keyboard.press("Escape");
  if (device === "phone") await page.getByRole("button", { name: "Back to conversations" }).click();
  await screenshot(page, `twice-${device}-list`);
  expect(await page.locator("body").evaluate((body) => body.scrollWidth - body.clientWidth)).toBe(0);
});

describe.each([
  { device: "desktop", viewport: { width: 1280, height: 800 } },
  { device: "small phone", viewport: { width: 320, height: 568 } },
  { device: "phone on its side", viewport: { width: 740, height: 360 } },
])("with the longest names, on a $device", ({ device, viewport }) => {
  /** What reaches beyond the screen's sides, or has a text that reaches beyond its own. */
  const cut = (page: Page) =>
    page.locator("body").evaluate((body) => {
      const width = body.clientWidth;
      const visible = [...body.querySelectorAll("*")].filter((one) => one.checkVisibility());
      const isCut = (one: typeof body) => {
        const { left, right } = one.getBoundingClientRect();
        const { clientWidth, scrollWidth } = one;
        const hasText = [...one.childNodes].some(({ nodeType }) => nodeType === one.TEXT_NODE);
        const { overflowX } = body.ownerDocument.defaultView!.getComputedStyle(one);
        const spills = hasText && overflowX === "visible" && scrollWidth > clientWidth + 1;
        return right > width + 1 || left < -1 || (spills && clientWidth > 0);
      };
      return visible
        .filter((one) => isCut(one) && !one.closest(".unseen, .skip"))
        .map((one) => one.outerHTML.slice(0, 200));
    });

  test.each([
    ["without a space", "W".repeat(100)],
    ["of many words", "한 사람의 아주 긴 이름 ".repeat(7).slice(0, 100).trim()],
  ])("%s nothing is cut off", async (words, name) => {
    const [writer] = newUsers(1) as [number];
    await call("POST", "/negotiate", await tokenFor(writer, { nickname: name }));
    const { body } = await call("POST", "/group-rooms", writer, { roomName: name, userIds: [DEMO.Ann] });
    await call("POST", "/rooms", writer, { targetUserId: DEMO.Ann });
    const ann = await pageOf("Ann", { viewport, roomId: body.roomId });
    const client = await connect(writer, { nickname: name });
    await client.say(body.roomId, "Hello");
    await client.close();
    await rowOf(ann, "Hello").waitFor();
    await call("POST", `/group-rooms/${body.roomId}/invite`, writer, { userIds: [DEMO.Ben] });
    await ann.getByTestId("log").getByText("invited Ben").waitFor();
    expect(await cut(ann)).toEqual([]);
    await screenshot(ann, `long-${words.split(" ")[0]}-${viewport.width}-room`);
    await ann.getByRole("button", { name: "Members and settings" }).click();
    await ann.getByRole("dialog").getByText("Ben").first().waitFor();
    expect(await cut(ann)).toEqual([]);
    await screenshot(ann, `long-${words.split(" ")[0]}-${viewport.width}-members`);
    await ann.keyboard.press("Escape");
    if (device === "small phone") {
      await ann.getByRole("button", { name: "Back to conversations" }).click();
      expect(await cut(ann)).toEqual([]);
      await screenshot(ann, `long-${words.split(" ")[0]}-${viewport.width}-list`);
    }
  });
});
