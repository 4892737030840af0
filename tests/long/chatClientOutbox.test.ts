import { join } from "node:path";
import type { OutboxEntry } from "@nonstop/chat-client";
import type { BrowserContext, Page } from "playwright-core";
import { build, type Rolldown } from "vite";
import { beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../local/settings.js";
import { emptyPage, useBrowser } from "../support/browser.js";
import { until } from "../support/client.js";

useBrowser();

const NAME = "nonstop-chat-outbox";
const USER = 1;

/** What a page has beside the outbox: what a browser does to it, and does not tell. */
const TOOLS = `
const outbox = indexedDbOutbox();
const nameOf = (error) => error.name;
const seen = (state) => {
  if (state) Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  else delete document.visibilityState;
  document.dispatchEvent(new Event("visibilitychange"));
};
let [opened, failing, isHeld, isFull] = [[], 0, true, false];
const { open } = IDBFactory.prototype;
IDBFactory.prototype.open = function (...args) {
  if (failing > 0) {
    failing -= 1;
    // As WebKit says it when its database process is gone.
    throw new DOMException("Connection to Indexed Database server lost", "UnknownError");
  }
  const request = open.apply(this, args);
  request.addEventListener("success", () => opened.push(request.result));
  return request;
};
const { put } = IDBObjectStore.prototype;
IDBObjectStore.prototype.put = function (...args) {
  if (isFull) throw new DOMException("no room", "QuotaExceededError");
  return put.apply(this, args);
};
window.tools = {
  put: (entry) => outbox.put(entry).then(() => "written", nameOf),
  remove: (entry) => outbox.remove(entry).then(() => "written", nameOf),
  load: (userId) => outbox.load(userId).then((entries) => entries.map(({ content }) => content), nameOf),
  hide: () => seen("hidden"),
  show: () => seen(),
  left: () => Object.values(localStorage).join(),
  close: () => opened.at(-1).close(),
  opened: () => opened.length,
  failOpening: (times) => { failing = times; },
  failing: () => failing,
  fill: (full) => { isFull = full; },
  /** Resolves when it is deleted. */
  deleteAll: (andThen) => new Promise((resolve) => {
    const request = indexedDB.deleteDatabase("${NAME}");
    request.onsuccess = () => { andThen?.(); resolve("deleted"); };
    request.onblocked = () => resolve("blocked");
  }),
  /** A transaction that does not end: each request begins the next. */
  hold: () => new Promise((resolve) => {
    open.call(indexedDB, "${NAME}", 1).onsuccess = ({ target }) => {
      const store = target.result.transaction("entries", "readwrite").objectStore("entries");
      const next = () => { if (isHeld) store.count().onsuccess = next; };
      next();
      resolve();
    };
  }),
  letGo: () => { isHeld = false; },
};`;

/** The outbox as a page loads it, with the tools. */
let script: string;
beforeAll(async () => {
  const [output] = (await build({
    configFile: false,
    logLevel: "error",
    build: {
      lib: { entry: join(projectRoot, "client/dist/indexedDbOutbox.js"), formats: ["es"] },
      minify: false,
      write: false,
    },
  })) as Rolldown.RolldownOutput[];
  const code = output!.output.map((chunk) => (chunk.type === "chunk" ? chunk.code : "")).join("");
  script = code + TOOLS;
});

const openPage = async (context?: BrowserContext): Promise<Page> => {
  const page = await emptyPage(script, context);
  await page.waitForFunction("window.tools !== undefined");
  return page;
};

const call = <T>(page: Page, tool: string, ...args: readonly unknown[]): Promise<T> =>
  page.evaluate<T>(`tools.${tool}(${args.map((arg) => JSON.stringify(arg)).join()})`);

const entry = (content: string, more: Partial<OutboxEntry> = {}): OutboxEntry => ({
  state: "sending",
  userId: USER,
  roomId: 7,
  clientMessageId: content,
  type: "TEXT",
  content,
  createdAt: "2026-01-02T03:04:05.678Z",
  ...more,
});

/** Resolves with whether it is written by now, or why not. */
const put = (page: Page, content: string, more?: Partial<OutboxEntry>) =>
  call<string>(page, "put", entry(content, more));
const remove = (page: Page, content: string) => call<string>(page, "remove", entry(content));
const loaded = (page: Page) => call<readonly string[] | string>(page, "load", USER);
const inLocalStorage = (page: Page) => call<string>(page, "left");

/** What a page finds that is opened when this one is gone. */
async function left(page: Page): Promise<readonly string[] | string> {
  const next = await openPage(page.context());
  await page.close();
  return loaded(next);
}

test("what is written is there after the page, in its order, as it was last; what was removed is not", async () => {
  const page = await openPage();
  for (const text of ["one", "two", "three", "four"]) expect(await put(page, text)).toBe("written");
  await put(page, "two", { state: "refused" });
  await remove(page, "three");
  await put(page, "another user's", { userId: 2 });
  await put(page, "two and a half", { replaces: "two" });
  await remove(page, "two");
  expect(await left(page)).toEqual(["one", "two and a half", "four"]);
});

test("a connection that the browser has closed is opened again", async () => {
  const page = await openPage();
  expect(await put(page, "one")).toBe("written");
  await call(page, "close");
  expect(await put(page, "two")).toBe("written");
  await call(page, "close");
  expect(await remove(page, "one")).toBe("written");
  expect(await call(page, "opened")).toBe(3);
  expect(await left(page)).toEqual(["two"]);
});

test("a browser that can't open it for a while is asked again, and nothing is lost", async () => {
  const page = await openPage();
  await call(page, "failOpening", 2);
  expect(await put(page, "one")).toBe("written");
  const next = await openPage(page.context());
  await call(next, "failOpening", 5);
  expect(await put(next, "two")).toBe("UnknownError");
  // By itself, a moment later.
  await until(async () => String(await loaded(page)) === "one,two", "it is written");
  expect(await call(next, "failing")).toBe(0);
});

test("a database that is deleted behind the page's back gets back what is not sent yet", async () => {
  const page = await openPage();
  for (const text of ["one", "two", "three"]) await put(page, text);
  await remove(page, "two");
  expect(await call(page, "deleteAll")).toBe("deleted");
  await put(page, "four");
  expect(await left(page)).toEqual(["one", "three", "four"]);
});

test("also where nothing more is written after the deletion", async () => {
  const page = await openPage();
  await put(page, "one");
  expect(await call(page, "deleteAll")).toBe("deleted");
  const other = await openPage(page.context());
  await until(async () => String(await loaded(other)) === "one", "it is written again");
  await other.close();
  expect(await left(page)).toEqual(["one"]);
});

test("also where another page makes it again first", async () => {
  const page = await openPage();
  await put(page, "one");
  const other = await openPage(page.context());
  // The page that has lost its database looks after it a moment later.
  await page.clock.install();
  expect(await call(other, "deleteAll")).toBe("deleted");
  expect(await put(other, "two")).toBe("written");
  await page.clock.runFor(1_000);
  await until(async () => String(await loaded(other)) === "two,one", "it is written again");
});

test("and where the page is left in the very moment of it", async () => {
  const page = await openPage();
  await put(page, "one");
  await page.evaluate('tools.deleteAll(() => window.dispatchEvent(new Event("pagehide")))');
  expect(await left(page)).toEqual(["one"]);
});

test("of a database that hangs, a page that is hidden leaves what is not written, and the next one has it", async () => {
  const page = await openPage();
  await page.clock.install();
  await put(page, "one");
  const holder = await openPage(page.context());
  await call(holder, "hold");
  const written = put(page, "two");
  const removed = remove(page, "one");
  await call(page, "hide");
  expect(await inLocalStorage(page)).toContain("two");
  let isGivenUp = false;
  void Promise.all([written, removed]).then(() => {
    isGivenUp = true;
  });
  await until(async () => {
    // It is waited for, and tried again.
    await page.clock.runFor(1_000);
    return isGivenUp;
  }, "both are given up");
  expect([await written, await removed]).toEqual(["ChatError", "ChatError"]);
  await page.close();
  const next = await openPage(holder.context());
  expect(await loaded(next)).toEqual(["two"]);
  await call(holder, "letGo");
  expect(await put(next, "three")).toBe("written");
  expect(await inLocalStorage(next)).toBe("");
  expect(await left(next)).toEqual(["two", "three"]);
});

test("a page that is shown again takes back what it had left", async () => {
  const page = await openPage();
  await call(page, "failOpening", 3);
  expect(await put(page, "one")).toBe("UnknownError");
  await call(page, "hide");
  expect(await inLocalStorage(page)).toContain("one");
  await call(page, "show");
  await until(async () => (await inLocalStorage(page)) === "", "it is written");
  expect(await left(page)).toEqual(["one"]);
});

test("a page that the browser freezes leaves what is not written", async () => {
  const page = await openPage();
  await call(page, "failOpening", 1_000);
  expect(await put(page, "one")).toBe("UnknownError");
  await page.evaluate('document.dispatchEvent(new Event("freeze"))');
  const next = await openPage(page.context());
  expect(await loaded(next)).toEqual(["one"]);
});

test("without IndexedDB, as in some private windows, it is told, and a page that is hidden leaves it all the same", async () => {
  const first = await openPage();
  const context = first.context();
  const without = async () => {
    const page = await openPage(context);
    await call(page, "failOpening", 1_000_000);
    return page;
  };
  const page = await without();
  expect(await put(page, "one")).toBe("UnknownError");
  expect(await put(page, "two")).toBe("UnknownError");
  expect(await remove(page, "one")).toBe("UnknownError");
  await call(page, "hide");
  await page.close();
  // Over several pages.
  const second = await without();
  expect(await loaded(second)).toEqual(["two"]);
  await put(second, "three");
  await remove(second, "two");
  expect(await loaded(second)).toEqual(["three"]);
  await call(second, "hide");
  await second.close();
  // This one has a database.
  expect(await loaded(first)).toEqual(["three"]);
  await until(async () => (await inLocalStorage(first)) === "", "it is written");
});

test("without room it is told; what goes makes room, and then what waits is written", async () => {
  const page = await openPage();
  await put(page, "one");
  await call(page, "fill", true);
  expect(await put(page, "two")).toBe("QuotaExceededError");
  await remove(page, "one");
  const other = await openPage(page.context());
  await until(async () => String(await loaded(other)) === "", "the first is gone");
  await call(page, "fill", false);
  await until(async () => String(await loaded(other)) === "two", "the second is written");
});
