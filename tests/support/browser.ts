import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, inject } from "vitest";
import { type Server as PageServer, start as startPage } from "../../local/page/server.js";
import { projectRoot, readAuthSettings } from "../../local/settings.js";
import type { ChaosProxy } from "./chaosProxy.js";
import { call, tokenFor } from "./client.js";
import { PATIENCE_MS } from "./patience.js";

// Plain JavaScript without declarations: imported by address.
const { findChromium } = await import(pathToFileURL(join(projectRoot, "local/services/binaries.mjs")).href);

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SCREENSHOTS = join(projectRoot, ".local-screenshots");

/** The demo users, as the page names them. */
export const DEMO = { Ann: 1, Ben: 2, Chloe: 3, 민준: 4, 서연: 5, Dora: 6 } as const;
type Name = keyof typeof DEMO;

let browser: Browser;
const contexts: BrowserContext[] = [];
const servers: PageServer[] = [];
/** Errors of pages that no test provoked. */
const complaints: string[] = [];

/** The demo users are known to the service once it has seen a token of each. */
export async function introduceDemo(): Promise<void> {
  for (const [nickname, userId] of Object.entries(DEMO))
    await call("POST", "/negotiate", await tokenFor(userId, { nickname }));
}

/** Begins and ends a browser with the test file; each test's pages are closed after it. */
export function useBrowser(): void {
  beforeAll(async () => {
    const executablePath: string = findChromium();
    browser = await chromium.launch({ executablePath, args: ARGUMENTS, timeout: PATIENCE_MS });
  });
  afterAll(() => browser?.close());
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
    for (const server of servers.splice(0)) await server.close();
    expect(complaints.splice(0)).toEqual([]);
  });
}

export interface Visit extends BrowserContextOptions {
  /** The page's address; that of the shared stack unless told. */
  readonly page?: string;
  /** The network between the page and the service. */
  readonly through?: ChaosProxy;
  /** Which room is opened at once. */
  readonly roomId?: number;
}

/** A browser of someone's own, with the page open. */
export async function visit({ page: address, through, roomId, ...options }: Visit = {}): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    locale: "en-US",
    ...options,
  });
  contexts.push(context);
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  const hash = roomId === undefined ? "" : `#/rooms/${roomId}`;
  const at = through ? await pageThrough(through) : (address ?? inject("stack").page);
  await page.goto(at + hash);
  return page;
}

/** Serves the page so that it talks to the network in place of the service, and returns its address. */
async function pageThrough({ url }: ChaosProxy): Promise<string> {
  const server = await startPage({
    port: 0,
    folder: join(projectRoot, "dist/web"),
    api: url,
    sockets: url.replace("http", "ws"),
    imageHosts: [],
    auth: readAuthSettings(process.env),
  });
  servers.push(server);
  return `http://127.0.0.1:${server.port}`;
}

/** Someone's page, signed in and connected. */
export async function pageOf(name: Name, options: Visit = {}): Promise<Page> {
  const page = await visit(options);
  await page.getByRole("button", { name }).click();
  await isConnected(page);
  return page;
}

export const isConnected = (page: Page) => page.locator("body[data-connection=connected]").waitFor();

/** Lets the page draw: scroll events and what follows from them have come then. */
export const drawn = (page: Page): Promise<void> =>
  page.evaluate(
    "(async () => { for (let n = 0; n < 15; n += 1) await new Promise(requestAnimationFrame); })()",
  );

/** What the page's outbox holds. */
export const keptTexts = (page: Page) =>
  page.evaluate<readonly string[]>(`new Promise((resolve) => {
    indexedDB.open("nonstop-chat-outbox").onsuccess = ({ target: { result: database } }) => {
      database.transaction("entries").objectStore("entries").getAll().onsuccess = ({ target }) => {
        database.close();
        resolve(target.result.map(({ content }) => content));
      };
    };
  })`);

/**
 * Loads a connected page again and stops its clock until `page.clock.resume()`: no timer ends, only events
 * count.
 */
export async function stopClock(page: Page): Promise<void> {
  await page.clock.install();
  await page.reload();
  await isConnected(page);
  await page.clock.pauseAt(Date.now() + 60_000);
}

export const say = async (page: Page, text: string): Promise<void> => {
  await page.getByRole("textbox", { name: /Write a message|메시지 입력/ }).fill(text);
  await page.keyboard.press("Enter");
};

/** The row of a message, by its text. */
export const rowOf = (page: Page, text: string) => page.locator("[data-state]", { hasText: text });

/** The texts of all messages that are there, in their order; what is far from view has no inner text. */
export const shownTexts = (page: Page) => page.locator("[data-state] .bubble").allTextContents();

/** Keeps a picture of the page in `.local-screenshots`, for people to look at. */
export async function screenshot(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), animations: "disabled" });
}

/**
 * A page with nothing but a module script, at an address that only the browser knows. A context's pages share
 * storage.
 */
export async function emptyPage(script: string, context?: BrowserContext): Promise<Page> {
  const its = context ?? (await browser.newContext());
  if (!context) {
    contexts.push(its);
    its.setDefaultTimeout(PATIENCE_MS);
    await its.route("https://empty.test/**", (route) =>
      route.request().url().endsWith(".js")
        ? route.fulfill({ contentType: "text/javascript", body: script })
        : route.fulfill({
            contentType: "text/html",
            body: '<!doctype html><script type="module" src="/script.js"></script>',
          }),
    );
  }
  const page = await its.newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto("https://empty.test/");
  return page;
}
