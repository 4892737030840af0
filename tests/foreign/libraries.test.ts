import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, inject } from "vitest";
import { type Connected, connect, makeRoom, newUsers, tokenFor, until } from "../support/client.js";
import { type Chat, installLibraries, LIBRARIES, type Library } from "./libraries.js";
import { type Step, tellTogether } from "./together.js";

/** What a JSON body can hold beside its content; the service ignores it. */
const PADDING = "0123456789".repeat(3_000) + "가나다라마".repeat(670);

const [ben] = newUsers(1) as [number];
let writer: Connected;
const endings: (() => unknown)[] = [];
beforeAll(async () => {
  installLibraries();
  writer = await connect(ben, { nickname: "Ben" });
}, 300_000);
afterAll(async () => {
  for (const end of endings) await end();
  await writer.close();
});

tellTogether(
  LIBRARIES.map((library) => ({ name: `${library.name}: ${library.shows}`, steps: steps(library) })),
  300_000,
);

function steps(library: Library): Step[] {
  const [ann] = newUsers(1) as [number];
  const shown: { content: string; seq: number }[] = [];
  const refusals: { code: string; clientMessageId: string }[] = [];
  let roomId: number;
  let chat: Chat;
  const contents = (): string[] => shown.map(({ content }) => content);
  const say = (content: string, clientMessageId: string, more: object = {}): void =>
    chat.send(JSON.stringify({ roomId, content, clientMessageId, ...more }), clientMessageId);

  return [
    {
      name: "connects, subscribes",
      async run() {
        roomId = await makeRoom([ben, ann]);
        chat = await library.connect(`${inject("stack").webPubSub}?token=${await tokenFor(ann)}`);
        endings.push(() => chat.close());
        chat.subscribe("/user/queue/errors", (body) => void refusals.push(JSON.parse(body)));
        chat.subscribe(`/sub/chat/room/${roomId}`, (body) => void shown.push(JSON.parse(body)));
        say("Hello", "hello");
        await until(() => contents().includes("Hello"), "its own message");
      },
    },
    {
      name: "gets its RECEIPT",
      run: () => until(() => chat.receipts.has("hello"), "the receipt"),
    },
    {
      name: "of twenty quick messages gets twenty in order",
      async run() {
        const texts = Array.from({ length: 20 }, (_, i) => `message ${i + 1}`);
        await Promise.all(texts.map((text) => writer.say(roomId, text)));
        await until(() => contents().includes("message 20"), "the last of them");
        expect(contents()).toEqual(["Hello", ...texts]);
      },
    },
    {
      name: "sends 40,000 bytes",
      async run() {
        say("a large one", "large", { padding: PADDING });
        await until(() => contents().at(-1) === "a large one" && chat.receipts.has("large"), "it");
      },
    },
    {
      name: "sends twenty quick messages in order",
      async run() {
        const texts = Array.from({ length: 20 }, (_, i) => `mine ${i + 1}`);
        for (const text of texts) say(text, text);
        await until(() => contents().includes("mine 20"), "the last of them");
        expect(contents().slice(-20)).toEqual(texts);
        await until(() => texts.every((text) => chat.receipts.has(text)), "their receipts");
      },
    },
    {
      name: "sees its refusal, and goes on",
      async run() {
        say("   ", "refused");
        await until(() => refusals.length === 1, "the refusal");
        expect(refusals).toMatchObject([{ code: "INVALID_MESSAGE", clientMessageId: "refused" }]);
        say("after it", "after");
        await until(() => contents().at(-1) === "after it", "the next message");
      },
    },
    {
      name: "is there after 70 idle seconds",
      async run() {
        await sleep(70_000);
        await writer.say(roomId, "after a while");
        await until(() => contents().at(-1) === "after a while", "the message");
        expect(chat.ended).toEqual([]);
      },
    },
  ];
}
