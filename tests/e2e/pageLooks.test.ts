import { beforeAll, test } from "vitest";
import { introduceDemo, useBrowser } from "../support/browser.js";
import { LOOKS, SCREENS } from "../support/looks.js";

useBrowser();
beforeAll(introduceDemo);

// A taste of `tests/long/pageLooks.test.ts`.
const [look] = LOOKS;
const name = "the rooms, a conversation, its members and a new one";

test(`${name}, in ${look.colorScheme}, ${look.locale}, on a ${look.device}`, async () => {
  await SCREENS[name]!(look);
});
