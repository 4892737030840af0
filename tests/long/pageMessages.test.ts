import type { BrowserContext, Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import {
  DEMO,
  introduceDemo,
  isConnected,
  pageOf,
  rowOf,
  say,
  screenshot,
  shownTexts,
  useBrowser,
} from "../support/browser.js";
import { call, connect, history, makeRoom, newUsers, tokenFor, until } from "../support/client.js";

useBrowser();
const { Ann, Ben, Chloe } = DEMO;

beforeAll(introduceDemo);

const stored = (page: Page, text: string) => rowOf(page, text).and(page.locator("[data-state=stored]"));
const write = (page: Page) => page.getByRole("textbox", { name: "Write a message" });
const menuOf = (page: Page, text: string) =>
  rowOf(page, text).getByRole("button", { name: /Message of .*: actions/ });

describe("a refused message", () => {
  test("is changed and sent again in its place, while what one had begun to write waits", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const page = await pageOf("Ann", { roomId });
    await say(page, "wrong \u0007");
    const refused = page.locator("[data-state=refused]");
    await refused.waitFor();
    await write(page).fill("a draft");
    await refused.getByRole("button", { name: "Edit" }).click();
    const edited = page.getByRole("textbox", { name: "Change the message" });
    expect(await edited.inputValue()).toBe("wrong \u0007");
    await screenshot(page, "editing");
    // Given up: nothing has changed.
    await page.keyboard.press("Escape");
    expect(await write(page).inputValue()).toBe("a draft");
    await refused.getByRole("button", { name: "Edit" }).click();
    await edited.fill("right");
    await page.keyboard.press("Enter");
    await stored(page, "right").waitFor();
    await refused.waitFor({ state: "detached" });
    expect(await write(page).inputValue()).toBe("a draft");
    expect((await history(roomId, Ann)).map(({ content }) => content)).toEqual(["right"]);
  });

  test("has its choices in its menu as well", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const page = await pageOf("Ann", { roomId });
    await say(page, "wrong \u0007");
    await page.locator("[data-state=refused]").waitFor();
    await rowOf(page, "wrong").hover();
    await menuOf(page, "wrong").click();
    expect(await page.getByRole("menuitem").allInnerTexts()).toEqual([
      "Copy text",
      "Edit",
      "Try again",
      "Discard",
    ]);
    await page.getByRole("menuitem", { name: "Discard" }).click();
    await page.locator("[data-state=refused]").waitFor({ state: "detached" });
  });
});

describe("the menu of a message", () => {
  test("copies it, says who has read it, and deletes it for oneself, by mouse", async () => {
    const roomId = await makeRoom([Ann, Ben, Chloe]);
    const page = await pageOf("Ann", { roomId, permissions: ["clipboard-read", "clipboard-write"] });
    await say(page, "use `npm ci`");
    await stored(page, "npm ci").waitFor();
    await rowOf(page, "npm ci").locator(".bubble").click({ button: "right" });
    await page.getByRole("menuitem", { name: "Copy text" }).click();
    await page.getByText("Copied.").waitFor();
    expect(await page.evaluate("navigator.clipboard.readText()")).toBe("use `npm ci`");
    await rowOf(page, "npm ci").hover();
    await menuOf(page, "npm ci").click();
    await page.getByRole("menuitem", { name: "Who has read it" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("list", { name: "Not read yet by 2" }).getByText("Ben").waitFor();
    // As it happens.
    const [{ messageId }] = await history(roomId, Ben);
    await call("PATCH", `/rooms/${roomId}/read?messageId=${messageId}`, Ben);
    await dialog.getByRole("list", { name: "Read by 1" }).getByText("Ben").waitFor();
    await dialog.getByRole("list", { name: "Not read yet by 1" }).getByText("Chloe").waitFor();
    await screenshot(page, "who-has-read");
    await page.keyboard.press("Escape");
    await rowOf(page, "npm ci").locator(".bubble").click({ button: "right" });
    await page.getByRole("menuitem", { name: "Delete for me" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete for me" }).click();
    await rowOf(page, "npm ci").waitFor({ state: "detached" });
    expect(await history(roomId, Ann)).toEqual([]);
    expect(await history(roomId, Ben)).toHaveLength(1);
  });

  test("by keyboard: one stop of the Tab key, arrows from message to message and from item to item", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const page = await pageOf("Ann", { roomId });
    for (const text of ["one", "two", "three"]) {
      await say(page, text);
      await stored(page, text).waitFor();
    }
    const focusedRow = () =>
      page
        .locator(":focus")
        .evaluate((element) => element.closest("[data-key]")?.querySelector(".bubble")?.textContent);
    await page.getByTestId("log").focus();
    await page.keyboard.press("Tab");
    expect(await focusedRow()).toBe("three");
    await page.keyboard.press("ArrowUp");
    expect(await focusedRow()).toBe("two");
    await page.keyboard.press("Home");
    expect(await focusedRow()).toBe("one");
    await page.keyboard.press("Enter");
    const focused = () => page.locator(":focus").innerText();
    await page.getByRole("menu").waitFor();
    expect(await focused()).toBe("Copy text");
    await page.keyboard.press("ArrowDown");
    expect(await focused()).toBe("Who has read it");
    await page.keyboard.press("End");
    await page.keyboard.press("ArrowDown");
    expect(await focused()).toBe("Copy text");
    await page.keyboard.press("Escape");
    await page.getByRole("menu").waitFor({ state: "detached" });
    expect(await focusedRow()).toBe("one");
    // Where one has been stays the stop.
    await page.keyboard.press("Tab");
    await page.keyboard.press("Shift+Tab");
    expect(await focusedRow()).toBe("one");
  });

  test("by a long press", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
    const page = await pageOf("Ann", { roomId, ...phone });
    await say(page, "see https://a.example/b");
    await stored(page, "see").waitFor();
    const box = (await rowOf(page, "see").locator(".bubble a").boundingBox())!;
    const session = await page.context().newCDPSession(page);
    const touch = (type: string, points: object[]) =>
      session.send("Input.dispatchTouchEvent", { type, touchPoints: points } as never);
    const point = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    await touch("touchStart", [point]);
    await page.getByRole("menu").waitFor();
    await touch("touchEnd", []);
    await page.waitForTimeout(300);
    // The finger that is lifted clicks nothing.
    expect(page.context().pages()).toHaveLength(1);
    await screenshot(page, "menu-phone");
    await page.getByRole("menuitem", { name: "Who has read it" }).tap();
    await page.getByRole("dialog").getByRole("list", { name: "Not read yet by 1" }).waitFor();
    // A scroll is no long press.
    await page.getByRole("button", { name: "Close" }).tap();
    // However long it lasts: the finger moves before the time of a long press is over.
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 60_000);
    await touch("touchStart", [point]);
    await touch("touchMove", [{ x: point.x, y: point.y - 60 }]);
    await page.clock.runFor(700);
    await touch("touchEnd", []);
    await page.clock.resume();
    expect(await page.getByRole("menu").count()).toBe(0);
  });
});

describe("what people write", () => {
  test("has addresses as links that say where they lead, and code", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const page = await pageOf("Ann", { roomId });
    const text =
      "http://a.example, www.b.example, ann@c.example, https://bank.example@evil.example/ and javascript:alert(1)";
    await say(page, text);
    await stored(page, "a.example").waitFor();
    const links = page.locator(".bubble a");
    const hrefs = await links.evaluateAll((all) => all.map((one) => one.getAttribute("href")));
    expect(hrefs).toEqual([
      "http://a.example",
      "https://www.b.example",
      "mailto:ann@c.example",
      "https://bank.example@evil.example/",
    ]);
    for (const rel of await links.evaluateAll((all) => all.map((one) => one.getAttribute("rel"))))
      expect(rel).toBe("noopener noreferrer");
    expect(await rowOf(page, "a.example").innerText()).toContain("(evil.example)");
    await say(page, "`inline` and\n```js\nlet a = 1;\n  a += 1;\n```");
    await stored(page, "inline").waitFor();
    expect(await page.locator("code").allInnerTexts()).toEqual(["inline", "let a = 1;\n  a += 1;"]);
    await screenshot(page, "links-and-code");
  });

  test("is all that a copied selection has", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const ben = await connect(Ben, { nickname: "Ben" });
    await ben.say(roomId, "first of Ben");
    await ben.close();
    const page = await pageOf("Ann", { roomId, permissions: ["clipboard-read", "clipboard-write"] });
    await stored(page, "first of Ben").waitFor();
    await say(page, "second of Ann");
    await stored(page, "second of Ann").getByTestId("unread").waitFor();
    await page
      .getByTestId("log")
      .evaluate((log) => log.ownerDocument.defaultView!.getSelection()!.selectAllChildren(log));
    await page.getByTestId("log").focus();
    await page.keyboard.press("Control+c");
    const copied = String(await page.evaluate("navigator.clipboard.readText()"));
    expect(copied.split("\n").filter((line) => line.trim() !== "")).toEqual([
      "first of Ben",
      "second of Ann",
    ]);
  });

  test("in other scripts stands in its own direction, and turns nothing around it", async () => {
    const [writer] = newUsers(1) as [number];
    await call("POST", "/negotiate", await tokenFor(writer, { nickname: "مريم" }));
    const { body } = await call("POST", "/group-rooms", writer, { roomName: "غرفة", userIds: [Ann] });
    const client = await connect(writer, { nickname: "مريم" });
    await client.say(body.roomId, "مرحبا 123 (hello)");
    await client.close();
    const page = await pageOf("Ann", { roomId: body.roomId });
    const bubble = rowOf(page, "مرحبا").locator(".bubble");
    expect(
      await bubble.evaluate((one) => one.ownerDocument.defaultView!.getComputedStyle(one).direction),
    ).toBe("rtl");
    expect(await rowOf(page, "مرحبا").locator("bdi").first().innerText()).toBe("مريم");
    await screenshot(page, "right-to-left");
  });
});

test("a name that looks like nothing has another one in its place", async () => {
  const [writer] = newUsers(1) as [number];
  const { body } = await call("POST", "/group-rooms", Ann, { roomName: "room", userIds: [Ben] });
  await call("POST", "/negotiate", await tokenFor(writer, { nickname: "\u3164\u200B" }));
  await call("POST", `/group-rooms/${body.roomId}/invite`, Ann, { userIds: [writer] });
  const client = await connect(writer, { nickname: "\u3164\u200B" });
  await client.say(body.roomId, "who am I");
  await client.close();
  const page = await pageOf("Ann", { roomId: body.roomId });
  await rowOf(page, "who am I").getByText(`User ${writer}`).waitFor();
  await page.getByTestId("log").getByText(`Ann invited User ${writer}`).waitFor();
});

describe("pictures", () => {
  const picture = (width: number, height: number) => ({
    contentType: "image/svg+xml",
    body: `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="teal"/></svg>`,
  });
  /** What other hosts were asked for, with the referrer. */
  async function otherHosts(context: BrowserContext): Promise<string[]> {
    const asked: string[] = [];
    await context.route("https://**/*", async (route) => {
      const { referer } = await route.request().allHeaders();
      const url = route.request().url();
      asked.push(referer ? `${url} from ${referer}` : url);
      if (url.includes("broken")) return route.abort();
      return route.fulfill(url.includes("tall") ? picture(300, 900) : picture(600, 400));
    });
    return asked;
  }

  test("of hosts that the page was set to are shown in their own proportions, broken ones as such", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const page = await pageOf("Ben", { roomId });
    const asked = await otherHosts(page.context());
    const ann = await connect(Ann, { nickname: "Ann" });
    for (const name of ["wide", "tall", "broken"])
      await ann.say(roomId, `https://pictures.example/${name}.png`, { type: "IMAGE" });
    await ann.close();
    const sizes = async () =>
      (await page
        .locator(".picture[data-size=known]")
        .evaluateAll((all) => all.map((one) => [one.clientWidth, one.clientHeight]))) as [number, number][];
    await until(async () => (await sizes()).length === 2, "both are shown");
    const [wide, tall] = await sizes();
    expect(wide![0] / wide![1]).toBeCloseTo(1.5, 1);
    expect(tall![0] / tall![1]).toBeCloseTo(1 / 3, 1);
    await page.getByText("The picture can't be shown.").waitFor();
    expect(await page.getByRole("link", { name: "https://pictures.example/broken.png" }).count()).toBe(1);
    await screenshot(page, "pictures");
    expect(asked.filter((url) => !url.includes("broken"))).toEqual([
      "https://pictures.example/wide.png",
      "https://pictures.example/tall.png",
    ]);
    // Still at the end, though the pictures grew.
    const log = page.getByTestId("log");
    expect(await log.evaluate((one) => one.scrollHeight - one.scrollTop - one.clientHeight)).toBeLessThan(48);
  });

  test("of any other host are asked for only when the reader wants them", async () => {
    const roomId = await makeRoom([Ann, Ben]);
    const page = await pageOf("Ben", { roomId });
    const asked = await otherHosts(page.context());
    const ann = await connect(Ann, { nickname: "Ann" });
    await ann.say(roomId, "https://other.example:8443/a.png?b=c#d", { type: "IMAGE" });
    await ann.say(roomId, "https://other.example/broken.png", { type: "IMAGE" });
    await ann.close();
    const button = page.getByRole("button", { name: "Load picture from other.example:8443" });
    await button.waitFor();
    await screenshot(page, "picture-asks");
    await page.waitForTimeout(500);
    expect(asked).toEqual([]);
    await button.click();
    await page.locator(".picture[data-size=known]").waitFor();
    expect(asked).toEqual(["https://other.example:8443/a.png?b=c"]);
    await screenshot(page, "picture-loaded");
    await page.getByRole("button", { name: "Load picture from other.example" }).click();
    await page.getByText("The picture can't be shown.").waitFor();
    // The page itself may not, whatever gets into it.
    const isRefused = `new Promise((resolve) => {
      const image = new Image();
      image.onload = () => resolve(false);
      image.onerror = () => resolve(true);
      image.src = "https://other.example/tall.png";
    })`;
    expect(await page.evaluate(isRefused)).toBe(true);
    expect(asked.filter((url) => url.includes("tall"))).toEqual([]);
  });

  test("of senders follow the same rule", async () => {
    const [known, other] = newUsers(2) as [number, number];
    const [roomId] = [await makeRoom([Ann, Ben])];
    const page = await pageOf("Ben");
    const asked = await otherHosts(page.context());
    await page.route("**/group-rooms/*/members", async (route) => {
      const response = await route.fetch();
      const { members } = await response.json();
      const pictures: Record<number, string> = {
        [known]: "https://eu.faces.example/known.png",
        [other]: "https://other.example/face.png",
      };
      const changed = members.map((one: { userId: number }) => ({
        ...one,
        profileImageUrl: pictures[one.userId] ?? null,
      }));
      await route.fulfill({ response, json: { members: changed } });
    });
    for (const [userId, nickname] of [
      [known, "Known"],
      [other, "Other"],
    ] as const) {
      await call("POST", "/negotiate", await tokenFor(userId, { nickname }));
      await call("POST", `/group-rooms/${roomId}/invite`, Ann, { userIds: [userId] });
      const client = await connect(userId, { nickname });
      await client.say(roomId, `hello of ${nickname}`);
      await client.close();
    }
    await page.locator(`[data-room-id="${roomId}"]`).click();
    await rowOf(page, "hello of Known").locator("img.avatar").waitFor();
    expect(await rowOf(page, "hello of Other").locator(".avatar").innerText()).toBe("O");
    expect(asked).toEqual(["https://eu.faces.example/known.png"]);
  });
});

test("the page connects to nothing but its own server, the API and the socket service", async () => {
  const page = await pageOf("Ann");
  const answers = await page.evaluate(`Promise.all([
    fetch("https://other.example/").then(() => "got", () => "refused"),
    fetch("http://127.0.0.1:9/").then(() => "got", () => "refused"),
    new Promise((resolve) => {
      try {
        const socket = new WebSocket("ws://127.0.0.1:9/");
        socket.onopen = () => resolve("got");
        socket.onerror = () => resolve("refused");
      } catch {
        resolve("refused");
      }
    }),
    fetch("/demo/users").then(({ ok }) => ok),
  ])`);
  expect(answers).toEqual(["refused", "refused", "refused", true]);
});

test("system messages name the first three, list all on a click, and carry no count", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  const invited = newUsers(300);
  const targets = invited.map((userId, index) => ({
    userId,
    nickname: ["Carl", "Dan", "Eve"][index] ?? `Guest ${index}`,
  }));
  const messages = [
    {
      type: "SYSTEM_INVITE",
      content: "Ann invited Carl, Dan, Eve and 297 others",
      target: targets[0],
      targets,
    },
    { type: "SYSTEM_RENAME", content: "Ann renamed the group to Plans", roomName: "Plans" },
  ].map((message, index) => ({
    messageId: index + 1,
    seq: index + 1,
    roomId,
    senderId: Ann,
    senderNickname: "Ann",
    sentAt: new Date().toISOString(),
    unreadCount: 0,
    ...message,
  }));
  for (const [locale, words, all] of [
    ["en-US", ["Ann invited Carl, Dan, Eve and 297 others", "Ann renamed the group to Plans"], "Show all"],
    [
      "ko-KR",
      ["Ann님이 Carl님, Dan님, Eve님 외 297명을 초대했어요", "Ann님이 그룹 이름을 바꿨어요: Plans"],
      "모두 보기",
    ],
  ] as const) {
    const page = await pageOf("Ben", { locale });
    await page.route(`**/rooms/${roomId}/messages?*`, (route) =>
      route.fulfill({ json: { messages: messages.toReversed() } }),
    );
    await page.locator(`[data-room-id="${roomId}"]`).click();
    const log = page.getByTestId("log");
    for (const text of words) await log.getByText(text).waitFor();
    expect(await page.locator(".system [data-testid=unread]").count()).toBe(0);
    await log.getByRole("button", { name: all }).click();
    await page.getByRole("dialog").getByText("Guest 299").waitFor();
    expect(await page.getByRole("dialog").getByRole("listitem").count()).toBe(300);
    await screenshot(page, `system-${locale}`);
  }
});

test("the list says who wrote what, and what one has begun to write oneself", async () => {
  const roomId = await makeRoom([Ann, Ben]);
  const other = await makeRoom([Ann, Chloe]);
  const page = await pageOf("Ann", { roomId });
  const row = page.locator(`[data-room-id="${roomId}"]`);
  const ben = await connect(Ben, { nickname: "Ben" });
  await ben.say(roomId, "by Ben");
  await ben.close();
  await stored(page, "by Ben").waitFor();
  await write(page).fill("not sent yet");
  await page.locator(`[data-room-id="${other}"]`).click();
  await row.getByText("Draft: not sent yet").waitFor();
  await screenshot(page, "draft-in-list");
  await row.click();
  // The address changes first, and the page with it.
  await until(async () => (await write(page).inputValue()) === "not sent yet", "the draft is back");
  await write(page).fill("");
  await page.locator(`[data-room-id="${other}"]`).click();
  await row.getByText("by Ben").waitFor();
  await page.reload();
  await isConnected(page);
  await row.getByText("by Ben").waitFor();
  await until(async () => (await shownTexts(page)).length === 0, "the other room is shown");
});
