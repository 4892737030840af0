import { beforeAll, expect, test } from "vitest";
import {
  DEMO,
  introduceDemo,
  isConnected,
  keptTexts,
  pageOf,
  rowOf,
  say,
  screenshot,
  shownTexts,
  useBrowser,
  visit,
} from "../support/browser.js";
import { chaosProxy } from "../support/chat.js";
import { connect, fill, history, makeRoom, until } from "../support/client.js";
import { UNLESS_LATE } from "../support/late.js";
import { unlessLimitsAreOpen } from "../support/openLimits.js";

useBrowser();
const { retry } = UNLESS_LATE;
unlessLimitsAreOpen();
const { Ann, Ben, Chloe } = DEMO;

beforeAll(introduceDemo);

test("two users side by side: a message appears, and the '1' vanishes when it is read", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  const [ann, ben] = [await pageOf("Ann", { roomId }), await pageOf("Ben")];
  await say(ann, "Are you there?");
  const row = rowOf(ann, "Are you there?");
  await row.and(ann.locator("[data-state=stored]")).waitFor();
  await expect.poll(() => row.getByTestId("unread").innerText()).toBe("1");
  const inList = ben.locator(`[data-room-id="${roomId}"]`);
  await inList.getByText("Are you there?").waitFor();
  await inList.getByText("1 unread message").waitFor({ state: "attached" });
  await screenshot(ben, "list-unread");
  await inList.click();
  await rowOf(ben, "Are you there?").waitFor();
  await row.getByTestId("unread").waitFor({ state: "detached" });
  await inList.getByText("1 unread message").waitFor({ state: "detached" });
  await say(ben, "Yes");
  await rowOf(ann, "Yes").waitFor();
  await expect.poll(() => ann.getByTestId("unread").count()).toBe(0);
  expect(await shownTexts(ann)).toEqual(["Are you there?", "Yes"]);
  await screenshot(ann, "two-users");
});

test("what others write is read out to those who can't see it, and one's own and old messages are not", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  await fill(roomId, Ann, 3);
  const ben = await pageOf("Ben", { roomId });
  await rowOf(ben, "message 3").waitFor();
  const spoken = ben.locator(".logFrame [aria-live=polite]");
  expect(await spoken.innerText()).toBe("");
  await say(ben, "mine");
  await rowOf(ben, "mine").and(ben.locator("[data-state=stored]")).waitFor();
  expect(await spoken.innerText()).toBe("");
  // In one message of the socket, so in one drawing.
  const ann = await connect(Ann, { nickname: "Ann" });
  await Promise.all([ann.say(roomId, "first"), ann.say(roomId, "second")]);
  await until(async () => (await spoken.textContent())!.includes("Ann: second"), "the last is read out");
  await spoken.locator("span").evaluate((element) => element.setAttribute("data-before", ""));
  await ann.say(roomId, "second");
  // Read out only if it is an element of its own.
  await spoken
    .locator("span:not([data-before])")
    .getByText(/^Ann: second$/)
    .waitFor({ state: "attached" });
  await ann.close();
});

test("a reload keeps what was not sent yet, and sends it once", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  const proxy = await chaosProxy();
  const page = await pageOf("Ann", { roomId, through: proxy });
  await say(page, "first");
  await page.locator("[data-state=stored]").waitFor();
  proxy.mood = { failCall: 1 };
  proxy.cut();
  await page.locator("body[data-connection=waiting]").waitFor();
  await say(page, "second");
  await page.locator("[data-state=sending]").waitFor();
  await screenshot(page, "waiting-to-send");
  // Quicker than anyone types: several within a millisecond.
  await page.evaluate(`(async () => {
    const area = document.querySelector("textarea");
    const { set } = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
    for (const text of ["third", "fourth", "fifth", "sixth", "seventh"]) {
      set.call(area, text);
      area.dispatchEvent(new Event("input", { bubbles: true }));
      await Promise.resolve();
      area.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
      await Promise.resolve();
    }
  })()`);
  const texts = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh"];
  expect(await shownTexts(page)).toEqual(texts);
  await expect.poll(() => keptTexts(page)).toContain("seventh");
  await page.getByRole("textbox", { name: "Write a message" }).fill("a draft");
  await page.reload();
  await rowOf(page, "second").and(page.locator("[data-state=sending]")).waitFor();
  expect(await page.getByRole("textbox", { name: "Write a message" }).inputValue()).toBe("a draft");
  proxy.mood = {};
  await rowOf(page, "seventh").and(page.locator("[data-state=stored]")).waitFor();
  expect(await shownTexts(page)).toEqual(texts);
  expect((await history(roomId, Ann)).map(({ content }) => content)).toEqual(texts);
});

test("a reload in the very moment of sending loses nothing", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  const page = await pageOf("Ann", { roomId });
  const texts: string[] = [];
  for (let round = 1; round <= 10; round += 1) {
    for (const text of [`${round}, first`, `${round}, second`]) {
      await say(page, text);
      texts.push(text);
    }
    await page.reload({ waitUntil: "commit" });
  }
  await until(async () => (await history(roomId, Ann)).length >= texts.length, "all are stored");
  expect((await history(roomId, Ann)).map(({ content }) => content)).toEqual(texts);
  await expect.poll(() => shownTexts(page)).toEqual(texts);
});

test("a killed socket heals, and what came meanwhile is there", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  const proxy = await chaosProxy();
  const page = await pageOf("Ann", { roomId, through: proxy });
  await expect.poll(() => page.getByRole("log").count()).toBe(1);
  proxy.mood = { failCall: 1 };
  proxy.cut();
  await page.getByText(/No connection. Trying again in/).waitFor();
  await screenshot(page, "no-connection");
  const ben = await connect(Ben, { nickname: "Ben" });
  await ben.say(roomId, "meanwhile");
  // Tries at once, in vain still.
  await page.getByRole("button", { name: "Now" }).click();
  proxy.mood = {};
  await rowOf(page, "meanwhile").waitFor();
  await isConnected(page);
  await ben.say(roomId, "and after");
  await ben.close();
  await rowOf(page, "and after").waitFor();
  expect(await shownTexts(page)).toEqual(["meanwhile", "and after"]);
});

test("the fourth device ends the first, which says so and comes back only when asked to", {
  retry,
}, async () => {
  const first = await pageOf("Dora");
  const others = [await pageOf("Dora"), await pageOf("Dora"), await pageOf("Dora")];
  const notice = first.getByRole("alert");
  await notice.getByText("You signed in on a fourth device").waitFor();
  await screenshot(first, "session-closed");
  for (const other of others) await isConnected(other);
  await notice.getByRole("button", { name: "Use it here" }).click();
  await isConnected(first);
  await others[0]!.getByRole("alert").getByText("You signed in on a fourth device").waitFor();
});

test("who has scrolled up is told of new messages, and stays where they are", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  await fill(roomId, Ann, 60);
  const page = await pageOf("Ben", { roomId });
  await rowOf(page, "message 60").waitFor();
  const log = page.getByTestId("log");
  await page.locator("[data-testid=log][data-scroll=settled]").waitFor();
  await log.evaluate((element) => element.scrollTo(0, element.scrollHeight - element.clientHeight - 700));
  const top = await log.evaluate((element) => element.scrollTop);
  const ann = await connect(Ann, { nickname: "Ann" });
  await ann.say(roomId, "news 1");
  await ann.say(roomId, "news 2");
  await ann.close();
  const button = page.getByRole("button", { name: "2 new messages" });
  await button.waitFor();
  await screenshot(page, "new-messages");
  expect(await log.evaluate((element) => element.scrollTop)).toBe(top);
  await button.click();
  await button.waitFor({ state: "detached" });
});

test("groups are made, and members invited, removed and gone, on the page alone", async () => {
  const ann = await pageOf("Ann");
  const ben = await pageOf("Ben");
  await ann.getByRole("button", { name: "New conversation" }).click();
  await ann.getByRole("checkbox", { name: "Ben" }).check();
  await ann.getByRole("checkbox", { name: "서연" }).check();
  const name = `Climbing ${Date.now()}`;
  await ann.getByLabel("Name of the group").fill(name);
  await screenshot(ann, "new-group");
  await ann.getByRole("button", { name: "Start" }).click();
  await ann.getByRole("heading", { name }).waitFor();
  await ben.getByRole("link", { name }).click();
  await say(ann, "Welcome");
  await rowOf(ben, "Welcome").waitFor();
  await ann.getByRole("button", { name: "Members and settings" }).click();
  await ann.getByRole("checkbox", { name: "Chloe" }).check();
  await ann.getByRole("button", { name: "Invite" }).click();
  await ann.getByRole("listitem").filter({ hasText: "Chloe" }).getByText("Remove").waitFor();
  await screenshot(ann, "members");
  await ben.getByTestId("log").getByText("Ann invited Chloe").waitFor();
  await ann.getByRole("button", { name: "Remove: Ben" }).click();
  await ann.getByRole("dialog").getByRole("button", { name: "Remove", exact: true }).click();
  await ben.getByText("You are no longer in this conversation.").waitFor();
  await ben.getByRole("link", { name }).waitFor({ state: "detached" });
  await ann.getByRole("checkbox", { name: "Ben" }).check();
  await ann.getByRole("button", { name: "Invite" }).click();
  await ann.keyboard.press("Escape");
  await ann.getByTestId("log").getByText("Ann removed Ben").waitFor();
  // The room that Ben has open comes back by itself; what was written before is not for him.
  await say(ann, "Welcome back");
  await rowOf(ben, "Welcome back").waitFor();
  await ann.getByRole("button", { name: "Members and settings" }).click();
  await ann.getByRole("button", { name: "Leave" }).click();
  await ann.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  await ann.getByText("Choose a conversation").waitFor();
  await ann.getByRole("link", { name }).waitFor({ state: "detached" });
});

test("the keyboard alone suffices", async () => {
  const page = await visit();
  const focused = () =>
    page.locator(":focus").evaluate((element) => element.textContent || element.getAttribute("aria-label"));
  const tabTo = async (name: string | RegExp) => {
    for (let presses = 0; presses < 40; presses += 1) {
      await page.keyboard.press("Tab");
      if (new RegExp(name).test(String(await focused()))) return;
    }
    throw new Error(`Tab does not lead to ${name}`);
  };
  await page.getByRole("button", { name: "Chloe" }).waitFor();
  await tabTo("Chloe");
  await page.keyboard.press("Enter");
  await isConnected(page);
  await tabTo("New conversation");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  expect(await focused()).toBe("New conversation");
  await page.keyboard.press("Enter");
  for (let presses = 0; presses < 12; presses += 1) {
    await page.keyboard.press("Tab");
    const label = await page.locator(":focus").evaluate((element) => element.closest("label")?.textContent);
    if (label?.includes("Dora")) break;
  }
  await page.keyboard.press("Space");
  await tabTo("Start");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Dora" }).waitFor();
  await page.locator("textarea:focus").waitFor();
  await page.keyboard.type("without");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("a mouse");
  await page.keyboard.press("Enter");
  await page.locator("[data-state=stored]").last().waitFor();
  expect((await shownTexts(page)).at(-1)).toBe("without\na mouse");
});

test("a syllable that is being put together is not sent", async () => {
  const roomId = await makeRoom([Ann, Chloe]);
  const page = await pageOf("Ann", { roomId, locale: "ko-KR" });
  const text = page.getByRole("textbox", { name: "메시지 입력" });
  await text.fill("안녕");
  await text.dispatchEvent("keydown", { key: "Enter", isComposing: true });
  expect(await text.inputValue()).toBe("안녕");
  await page.keyboard.press("Enter");
  await page.locator("[data-state=stored]").waitFor();
  expect(await shownTexts(page)).toEqual(["안녕"]);
});

test("text is text, addresses are links, and what is refused can be discarded", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  const page = await pageOf("Ann", { roomId });
  const text = "<img src=x onerror=alert(1)> see https://example.com/a(b), and javascript:alert(1)";
  await say(page, text);
  await page.locator("[data-state=stored]").waitFor();
  expect(await shownTexts(page)).toEqual([text]);
  const link = page.locator(".bubble a");
  expect(await link.getAttribute("href")).toBe("https://example.com/a(b)");
  expect(await link.getAttribute("rel")).toBe("noopener noreferrer");
  await say(page, "with a bell \u0007");
  const refused = page.locator("[data-state=refused]");
  await refused.waitFor();
  await screenshot(page, "refused");
  await refused.getByRole("button", { name: "Discard" }).click();
  await refused.waitFor({ state: "detached" });
  await page.getByRole("textbox", { name: "Write a message" }).fill("x".repeat(5_001));
  await page.getByText("1 characters too many").waitFor();
  expect(await page.getByRole("button", { name: "Send" }).isDisabled()).toBe(true);
});
