import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, inject, test } from "vitest";
import { projectRoot } from "../../local/settings.js";
import { busOf, deadLettersOf } from "../support/bus.js";
import {
  call,
  connect,
  history,
  introduce,
  type Json,
  makeRoom,
  newUsers,
  until,
} from "../support/client.js";
import { PATIENCE_MS } from "../support/patience.js";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program, with the settings of the stack that runs on the folder. */
function deadLetters(...args: string[]): Promise<Outcome> {
  const programs = ["dist/local/withStack.js", "dist/shared/deadLetters/main.js"];
  const [launcher, program] = [join(projectRoot, programs[0]!), programs[1]!];
  const all = [launcher, program, ...args, "--data", inject("stackFolder")];
  const options = { env: { PATH: process.env["PATH"] }, timeout: PATIENCE_MS };
  return new Promise((resolve) => {
    execFile(process.execPath, all, options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

const lines = (text: string): Json[] =>
  text.split("\n").flatMap((line) => (line === "" ? [] : JSON.parse(line)));

const listed = async (roomId: number, ...args: string[]): Promise<Json[]> =>
  lines((await deadLetters("list", "--json", "--room", String(roomId), ...args)).stdout);

/** Puts events on the bus, as a program of somebody else would, and returns when their letters are there. */
async function poison(hub: string, key: number, roomId: number, events: readonly object[]): Promise<void> {
  const bus = busOf(inject("stack"));
  for (const event of events) await bus.publish(hub, String(key), event);
  await bus.close();
  await until(async () => {
    const letters = await deadLettersOf(inject("stack"), `${hub}-dlt`);
    const ours = letters.filter(({ body }) => body?.includes(`"roomId":${roomId},`));
    return ours.length === events.length;
  }, "the letters");
}

const message = (roomId: number, senderId: number, content: string): object => ({
  v: 1,
  eventId: `poison-${roomId}-${content}`,
  roomId,
  senderId,
  senderNickname: "Eve",
  clientMessageId: null,
  type: "TEXT",
  content,
  sentAt: "2026-11-26T08:00:00.000Z",
});

test("messages whose sender was no member are stored and shown once the sender is one, and a replay", async () => {
  const [ann, eve] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann]);
  await introduce([eve]);
  const client = await connect(ann);
  const shown = await client.subscribe(`/sub/chat/room/${roomId}`);
  await poison("chat-messages", roomId, roomId, [
    message(roomId, eve, "first"),
    message(roomId, eve, "second"),
    { v: 99, roomId, senderId: eve },
  ]);
  const letters = await listed(roomId);
  expect(letters.map(({ error, state }) => [error.code, state])).toEqual([
    ["NOT_A_MEMBER", "waits"],
    ["NOT_A_MEMBER", "waits"],
    ["INVALID_MESSAGE", "waits"],
  ]);
  const [first, second, third] = letters.map(({ number }) => String(number)) as [string, string, string];

  const page = await deadLetters("show", "chat-messages", first);
  expect(page.stdout).toContain('"content":"first"');

  // Nothing has been mended yet.
  const early = await deadLetters("replay", "chat-messages", first, "--json");
  expect(early.code).toBe(1);
  expect(early.stderr).toContain("1 dead letter will be published again.");
  const [back] = lines(early.stdout);
  expect(back).toMatchObject({ number: Number(first), became: "cameBack", code: "NOT_A_MEMBER" });
  const again = (await listed(roomId)).at(-1);
  expect(again).toMatchObject({ number: back.as, replayOf: `chat-messages-dlt/0/${first}` });

  const invited = await call("POST", `/group-rooms/${roomId}/invite`, ann, { userIds: [eve] });
  expect(invited.status).toBeLessThan(300);
  const { code, stdout, stderr } = await deadLetters(
    "replay",
    "--room",
    String(roomId),
    "--json",
    "--wait",
    "20",
  );
  expect(code).toBe(1);
  expect(stderr).toContain("Replayed before, and left alone without --again: 1.");
  expect(lines(stdout).map(({ number, became }) => [String(number), became])).toEqual([
    [second, "stored"],
    [third, "cameBack"],
    [String(again.number), "stored"],
  ]);
  const ours = ({ senderId, type }: Json): boolean => senderId === eve && type === "TEXT";
  const stored = (await history(roomId, ann)).filter(ours);
  expect(stored.map(({ content }) => content)).toEqual(["second", "first"]);
  await until(() => shown.filter(ours).length === 2, "both are shown");
  await client.close();

  const last = (await listed(roomId)).at(-1);
  expect(last).toMatchObject({
    replayOf: `chat-messages-dlt/0/${third}`,
    error: { code: "INVALID_MESSAGE" },
  });
  // Once more changes nothing: what is stored is not stored again.
  const more = await deadLetters("replay", "chat-messages", second, "--again");
  expect(more).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/: stored \(message \d+, seq \d+\)\n$/),
  });
  expect((await history(roomId, ann)).filter(ours)).toEqual(stored);

  const number = String(last.number);
  expect(await deadLetters("drop", "chat-messages", number)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("without a terminal --yes is needed"),
  });
  expect((await listed(roomId)).at(-1).number).toBe(last.number);
  expect((await deadLetters("drop", "chat-messages", number, "--yes")).code).toBe(0);
  expect((await listed(roomId)).map((one) => one.number)).not.toContain(last.number);
  expect((await listed(roomId, "--all")).at(-1)).toMatchObject({ number: last.number, state: "dropped" });
  const dropped = await deadLetters("replay", "chat-messages", number);
  expect(dropped).toMatchObject({ code: 1, stderr: expect.stringContaining("has no letter") });
});

test("reads of somebody who was no member move the position once they are one", async () => {
  const [ann, eve] = newUsers(2) as [number, number];
  const roomId = await makeRoom([ann]);
  await introduce([eve]);
  const client = await connect(ann);
  await client.say(roomId, "hello");
  await client.close();
  await until(async () => (await history(roomId, ann)).length === 1, "the message is stored");
  const [{ messageId }] = await history(roomId, ann);
  const read = { v: 1, roomId, userId: eve, messageId, readAt: "2026-11-26T08:00:00.000Z" };
  await poison("chat-read-events", eve, roomId, [read]);
  await call("POST", `/group-rooms/${roomId}/invite`, ann, { userIds: [eve] });
  const { code, stdout } = await deadLetters("replay", "--room", String(roomId));
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^chat-read-events-dlt \d+: stored \(a read position\)\n$/),
  });
});
