import { expect, test } from "vitest";
import { DEMO, pageOf, say, screenshot, useBrowser } from "../support/browser.js";
import { makeRoom, until } from "../support/client.js";
import { UNLESS_LATE } from "../support/late.js";
import { unlessLimitsAreOpen } from "../support/openLimits.js";
import { ownStack } from "../support/ownStack.js";

useBrowser();
const stack = ownStack({ RATE_LIMIT_PER_MINUTE: "5" });
unlessLimitsAreOpen(() => stack.receiver.url);
const { retry } = UNLESS_LATE;
const { Ann, Ben } = DEMO;

test("whoever writes too fast is told when it goes on, and keeps what waits", { retry }, async () => {
  const roomId = await makeRoom([Ann, Ben], stack.addresses);
  const page = await pageOf("Ann", { page: stack.addresses.page, roomId });
  for (let number = 1; number <= 7; number += 1) await say(page, `fast ${number}`);
  const notice = /^You write very fast. Your messages go on in \d+ s.$/;
  await page.getByRole("timer").getByText(notice).waitFor();
  // Read out once, while the seconds go down.
  const spoken = await page.getByRole("alert").innerText();
  expect(spoken).toMatch(notice);
  await until(async () => (await page.getByRole("timer").innerText()) !== spoken, "a second has passed");
  expect(await page.getByRole("alert").innerText()).toBe(spoken);
  await expect.poll(() => page.locator("[data-state=stored]").count()).toBe(5);
  expect(await page.locator("[data-state=sending]").count()).toBe(2);
  await screenshot(page, "rate-limit");
});
