/**
 * Measures how long the page takes until it can be used, in a real Chromium with an empty cache, in turn with
 * an empty page of the same server. Run as a program it prints the result and writes it to
 * `bench/results/page.json`.
 */
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { projectRoot } from "../local/settings.js";
import { inTurn, onTarget, setting, type Target, writeResult } from "./target.js";

const ROUNDS = setting("BENCH_ROUNDS", 15);
const PATIENCE_MS = 30_000;

// The file is plain JavaScript without declarations, so it is imported by its address.
const { findChromium } = await import(pathToFileURL(join(projectRoot, "local/services/binaries.mjs")).href);

/** Returns the milliseconds from the navigation until `isReady` resolves, with an empty cache. */
async function load(
  browser: Browser,
  url: string,
  isReady: (page: Page) => Promise<unknown>,
  user?: number,
): Promise<number> {
  const context = await browser.newContext({ locale: "en-US" });
  try {
    if (user) await context.addInitScript(`sessionStorage.setItem("nonstop-user", "${user}")`);
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const start = performance.now();
    await page.goto(url, { waitUntil: "commit" });
    await isReady(page);
    return performance.now() - start;
  } finally {
    await context.close();
  }
}

/** Medians in milliseconds. */
export async function measurePage({ page }: Pick<Target, "page">, rounds = ROUNDS) {
  const browser = await chromium.launch({
    executablePath: findChromium(),
    args: ["--no-sandbox", "--disable-gpu"],
  });
  try {
    return await inTurn(
      {
        /** JSON that the browser shows as it is. */
        nothing: () => load(browser, `${page}/demo/users`, (one) => one.waitForLoadState("load")),
        /** The users can be chosen: the page hears a click on one. */
        choice: () =>
          load(browser, page, (one) => one.getByRole("button", { name: "Ann" }).click({ trial: true })),
        /** Connected, with the rooms in the list. */
        rooms: () =>
          load(
            browser,
            page,
            async (one) => {
              await one.locator("body[data-connection=connected]").waitFor();
              await one
                .getByRole("navigation")
                .getByText(/Nonstop|No conversations/)
                .first()
                .waitFor();
            },
            1,
          ),
      },
      rounds,
    );
  } finally {
    await browser.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await onTarget((target) => measurePage(target));
  console.table(result);
  writeResult("page", { rounds: ROUNDS, milliseconds: result, ratio: result.choice / result.nothing });
}
