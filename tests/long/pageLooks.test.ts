import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { DEMO, isConnected, pageOf, rowOf, say, screenshot, useBrowser, visit } from "../support/browser.js";
import { chaosProxy } from "../support/chat.js";
import { call, connect, makeRoom, newUsers, tokenFor } from "../support/client.js";

useBrowser();

beforeAll(async () => {
  for (const [nickname, userId] of Object.entries(DEMO))
    await call("POST", "/negotiate", await tokenFor(userId, { nickname }));
});

/** What axe finds wrong, as sentences; none when all is well. */
async function faults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
}

const LOOKS = [
  { colorScheme: "light", locale: "en-US", device: "desktop", viewport: { width: 1280, height: 800 } },
  { colorScheme: "dark", locale: "ko-KR", device: "desktop", viewport: { width: 1280, height: 800 } },
  { colorScheme: "light", locale: "ko-KR", device: "phone", viewport: { width: 390, height: 844 } },
  { colorScheme: "dark", locale: "en-US", device: "phone", viewport: { width: 390, height: 844 } },
] as const;

describe.each(LOOKS)("in $colorScheme, $locale, on a $device", ({ device, ...look }) => {
  const is = (name: string) => `${device}-${look.colorScheme}-${look.locale}-${name}`;
  const isKorean = look.locale === "ko-KR";
  const named = (english: string, korean: string) => (isKorean ? korean : english);

  async function check(page: Page, name: string): Promise<void> {
    await screenshot(page, is(name));
    expect(await faults(page)).toEqual([]);
    // Nothing is wider than the screen.
    const wider = await page.locator("body").evaluate((body) => body.scrollWidth - body.clientWidth);
    expect(wider).toBe(0);
  }

  test("the choice of a user", async () => {
    const page = await visit(look);
    await page.getByRole("button", { name: "민준" }).waitFor();
    await check(page, "sign-in");
  });

  test("the rooms, a conversation, its members and a new one", async () => {
    const roomId = await makeRoom([DEMO.Ann, DEMO.민준, DEMO.Chloe]);
    await call("PATCH", `/group-rooms/${roomId}`, DEMO.Ann, { name: named("Weekend plans", "주말 계획") });
    const [ann, minjun] = [await pageOf("Ann", { ...look, roomId }), await pageOf("민준", { roomId })];
    await say(minjun, named("Shall we go climbing on Saturday?", "토요일에 등산 갈까요? 날씨가 좋대요 ☀️"));
    await say(minjun, "https://example.com/trail");
    await rowOf(ann, "trail").waitFor();
    await say(ann, named("Yes! I will bring lunch.", "좋아요! 도시락은 제가 챙길게요."));
    await rowOf(minjun, named("lunch", "도시락")).waitFor();
    await say(ann, "x".repeat(300));
    await rowOf(minjun, "xxx").waitFor();
    await say(ann, "control \u0007");
    await ann.locator("[data-state=refused]").waitFor();
    await ann.locator("[data-state=refused]").scrollIntoViewIfNeeded();
    await check(ann, "room");
    const mine = rowOf(ann, named("lunch", "도시락")).last();
    await mine.getByRole("button", { name: named("actions", "메뉴") }).focus();
    await ann.keyboard.press("Enter");
    await ann.getByRole("menu").waitFor();
    await check(ann, "menu");
    await ann.getByRole("menuitem", { name: named("Who has read it", "읽은 사람 보기") }).click();
    await ann.getByRole("dialog").getByText("Chloe").waitFor();
    await check(ann, "who-has-read");
    await ann.keyboard.press("Escape");
    await ann
      .locator("[data-state=refused]")
      .getByRole("button", { name: named("Edit", "수정") })
      .click();
    await check(ann, "edit");
    await ann.keyboard.press("Escape");
    await ann.getByRole("button", { name: named("Members and settings", "멤버와 설정") }).click();
    await ann.getByRole("dialog").getByText("Chloe").first().waitFor();
    await check(ann, "members");
    await ann.keyboard.press("Escape");
    if (device === "phone")
      await ann.getByRole("button", { name: named("Back to conversations", "대화 목록으로") }).click();
    await check(ann, "list");
    await ann.getByRole("button", { name: named("Settings", "설정"), exact: true }).click();
    await check(ann, "settings");
    await ann.keyboard.press("Escape");
    await ann.getByRole("button", { name: named("New conversation", "새 대화") }).click();
    await ann.getByRole("checkbox", { name: "Ben" }).check();
    await ann.getByRole("checkbox", { name: "서연" }).check();
    await check(ann, "new");
  });

  test("pictures, code and changes of members", async () => {
    const roomId = await makeRoom([DEMO.Ann, DEMO.민준]);
    const ann = await pageOf("Ann", { ...look, roomId });
    await ann.context().route("https://pictures.example/**", (route) =>
      route.fulfill({
        contentType: "image/svg+xml",
        body: '<svg xmlns="http://www.w3.org/2000/svg" width="600" height="400"><rect width="100%" height="100%" fill="teal"/></svg>',
      }),
    );
    const minjun = await connect(DEMO.민준, { nickname: "민준" });
    for (const address of ["https://pictures.example/a.png", "https://pictures.invalid/b.png"])
      await minjun.say(roomId, address, { type: "IMAGE" });
    await minjun.say(roomId, "`npm start`\n```\nlet a = 1;\n```\nhttps://bank.example@evil.example/");
    await minjun.close();
    await call("POST", `/group-rooms/${roomId}/invite`, DEMO.Ann, { userIds: [DEMO.Chloe, DEMO.Ben] });
    await ann.locator(".system").first().waitFor();
    await ann.locator(".picture[data-size=known]").waitFor();
    await ann.getByRole("button", { name: /pictures.invalid/ }).waitFor();
    await check(ann, "pictures");
  });

  test("a room that one is no member of", async () => {
    // Not who fights for places in another file.
    const page = await pageOf("민준", { ...look, roomId: 999_999_999 });
    await page.getByText(named("There is no such conversation", "없는 대화이거나")).waitFor();
    await check(page, "gone");
  });

  test("the notices", async () => {
    const proxy = await chaosProxy();
    const page = await pageOf("서연", { ...look, through: proxy });
    proxy.mood = { failCall: 1 };
    proxy.cut();
    await page.locator("body[data-connection=waiting]").waitFor();
    await check(page, "waiting");
    proxy.mood = {};
    await isConnected(page);
    await page.context().setOffline(true);
    await page.getByTestId("offline").waitFor();
    await check(page, "offline");
    await page.context().setOffline(false);
    await isConnected(page);
    await call("POST", "/sessions/logout", DEMO.서연, {});
    await page.getByRole("alert").waitFor();
    await check(page, "closed");
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
