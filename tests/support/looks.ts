import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { DEMO, isConnected, pageOf, rowOf, say, screenshot, visit } from "./browser.js";
import { chaosProxy } from "./chat.js";
import { call, connect, makeRoom } from "./client.js";

/** What axe finds wrong, as sentences; none when all is well. */
export async function faults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
}

export const LOOKS = [
  { colorScheme: "light", locale: "en-US", device: "desktop", viewport: { width: 1280, height: 800 } },
  { colorScheme: "dark", locale: "ko-KR", device: "desktop", viewport: { width: 1280, height: 800 } },
  { colorScheme: "light", locale: "ko-KR", device: "phone", viewport: { width: 390, height: 844 } },
  { colorScheme: "dark", locale: "en-US", device: "phone", viewport: { width: 390, height: 844 } },
] as const;

export type Look = (typeof LOOKS)[number];

const named = ({ locale }: Look, english: string, korean: string): string =>
  locale === "ko-KR" ? korean : english;

/** Keeps a picture of what is there, and has axe look at it; nothing may be wider than the screen. */
async function check(page: Page, { device, colorScheme, locale }: Look, name: string): Promise<void> {
  await screenshot(page, `${device}-${colorScheme}-${locale}-${name}`);
  expect(await faults(page)).toEqual([]);
  const wider = await page.locator("body").evaluate((body) => body.scrollWidth - body.clientWidth);
  expect(wider).toBe(0);
}

/** What a person looks at, by what it shows. */
export const SCREENS: Readonly<Record<string, (look: Look) => Promise<void>>> = {
  "the choice of a user": signIn,
  "the rooms, a conversation, its members and a new one": conversation,
  "pictures, code and changes of members": pictures,
  "a room that one is no member of": gone,
  "the notices": notices,
};

/** What a browser is told of a look. */
const viewOf = ({ device: _, ...view }: Look) => view;

async function signIn(look: Look): Promise<void> {
  const page = await visit(viewOf(look));
  await page.getByRole("button", { name: "민준" }).waitFor();
  await check(page, look, "sign-in");
}

async function conversation(look: Look): Promise<void> {
  const roomId = await makeRoom([DEMO.Ann, DEMO.민준, DEMO.Chloe]);
  await call("PATCH", `/group-rooms/${roomId}`, DEMO.Ann, {
    name: named(look, "Weekend plans", "주말 계획"),
  });
  const [ann, minjun] = [await pageOf("Ann", { ...viewOf(look), roomId }), await pageOf("민준", { roomId })];
  await say(
    minjun,
    named(look, "Shall we go climbing on Saturday?", "토요일에 등산 갈까요? 날씨가 좋대요 ☀️"),
  );
  await say(minjun, "https://example.com/trail");
  await rowOf(ann, "trail").waitFor();
  await say(ann, named(look, "Yes! I will bring lunch.", "좋아요! 도시락은 제가 챙길게요."));
  await rowOf(minjun, named(look, "lunch", "도시락")).waitFor();
  await say(ann, "x".repeat(300));
  await rowOf(minjun, "xxx").waitFor();
  await say(ann, "control \u0007");
  await ann.locator("[data-state=refused]").waitFor();
  await ann.locator("[data-state=refused]").scrollIntoViewIfNeeded();
  await check(ann, look, "room");
  const mine = rowOf(ann, named(look, "lunch", "도시락")).last();
  await mine.getByRole("button", { name: named(look, "actions", "메뉴") }).focus();
  await ann.keyboard.press("Enter");
  await ann.getByRole("menu").waitFor();
  await check(ann, look, "menu");
  await ann.getByRole("menuitem", { name: named(look, "Who has read it", "읽은 사람 보기") }).click();
  await ann.getByRole("dialog").getByText("Chloe").waitFor();
  await check(ann, look, "who-has-read");
  await ann.keyboard.press("Escape");
  await ann
    .locator("[data-state=refused]")
    .getByRole("button", { name: named(look, "Edit", "수정") })
    .click();
  await check(ann, look, "edit");
  await ann.keyboard.press("Escape");
  await ann.getByRole("button", { name: named(look, "Members and settings", "멤버와 설정") }).click();
  await ann.getByRole("dialog").getByText("Chloe").first().waitFor();
  await check(ann, look, "members");
  await ann.keyboard.press("Escape");
  if (look.device === "phone")
    await ann.getByRole("button", { name: named(look, "Back to conversations", "대화 목록으로") }).click();
  await check(ann, look, "list");
  await ann.getByRole("button", { name: named(look, "Settings", "설정"), exact: true }).click();
  await check(ann, look, "settings");
  await ann.keyboard.press("Escape");
  await ann.getByRole("button", { name: named(look, "New conversation", "새 대화") }).click();
  await ann.getByRole("checkbox", { name: "Ben" }).check();
  await ann.getByRole("checkbox", { name: "서연" }).check();
  await check(ann, look, "new");
}

async function pictures(look: Look): Promise<void> {
  const roomId = await makeRoom([DEMO.Ann, DEMO.민준]);
  const ann = await pageOf("Ann", { ...viewOf(look), roomId });
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
  await check(ann, look, "pictures");
}

async function gone(look: Look): Promise<void> {
  // Not who fights for places in another file.
  const page = await pageOf("민준", { ...viewOf(look), roomId: 999_999_999 });
  await page.getByText(named(look, "There is no such conversation", "없는 대화이거나")).waitFor();
  await check(page, look, "gone");
}

async function notices(look: Look): Promise<void> {
  const proxy = await chaosProxy();
  const page = await pageOf("서연", { ...viewOf(look), through: proxy });
  proxy.mood = { failCall: 1 };
  proxy.cut();
  await page.locator("body[data-connection=waiting]").waitFor();
  await check(page, look, "waiting");
  proxy.mood = {};
  await isConnected(page);
  await page.context().setOffline(true);
  await page.getByTestId("offline").waitFor();
  await check(page, look, "offline");
  await page.context().setOffline(false);
  await isConnected(page);
  await call("POST", "/sessions/logout", DEMO.서연, {});
  await page.getByRole("alert").waitFor();
  await check(page, look, "closed");
}
