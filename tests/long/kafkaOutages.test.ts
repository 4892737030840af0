import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { built } from "../../local/stackServers.js";
import { connect, history, makeRoom, newUsers, until } from "../support/client.js";
import { deleteTopics, noKafka } from "../support/kafka.js";
import { loseNothing } from "../support/outage.js";
import { ownStack } from "../support/ownStack.js";

const KILLS = 20;
const EVENTS = ["chat-messages", "chat-read-events"];

describe.skipIf(noKafka)("a stack on Apache Kafka", () => {
  const stack = ownStack({}, "kafka");

  test(`its broker killed with SIGKILL ${KILLS} times under load: what had its RECEIPT is stored once, in each sender's order, without a gap`, async () => {
    const kill = (): void => {
      stack.kill("kafka", "SIGKILL");
      // It is asked for at once. The stack would let some time pass after so many deaths.
      void stack.restart("kafka");
    };
    const pid = () => stack.addresses.pids.kafka;
    const stored = await loseNothing({ addresses: stack.addresses, kill, pid }, KILLS);
    expect(stored).toBeGreaterThan(4 * 3 * KILLS);
  });

  /** As an operator does it, by the program for it. */
  async function makeTopics(): Promise<void> {
    const env = { ...process.env, EVENT_BUS: "kafka", KAFKA_BROKERS: stack.addresses.kafka };
    const args = [built("shared/bus/makeTopics.js"), "--table", "local/hubs.json"];
    await promisify(execFile)(process.execPath, args, { env });
  }

  test("its topics deleted and made anew: what was stored stays, a message is refused meanwhile, and then stored and shown, without help", async () => {
    const { addresses } = stack;
    const [ann, ben] = newUsers(2) as [number, number];
    const roomId = await makeRoom([ann, ben], addresses);
    const contents = async () => (await history(roomId, ben, addresses)).map(({ content }) => content);
    const sent: string[] = [];
    const say = async (content: string): Promise<void> => {
      const writer = await connect(ann, { stack: addresses });
      await writer.say(roomId, content, { clientMessageId: content }).finally(() => writer.close());
      sent.push(content);
    };
    for (const content of ["1", "2", "3"]) await say(content);
    await expect.poll(contents).toEqual(sent);
    const reader = await connect(ben, { stack: addresses });
    const shown = await reader.subscribe(`/sub/chat/room/${roomId}`);

    await deleteTopics(addresses.kafka!, EVENTS);
    await expect(say("4")).rejects.toThrow(/UNAVAILABLE.*before whoever runs it has mended it/);
    expect(await contents()).toEqual(sent);

    await makeTopics();
    await until(
      () =>
        say("4").then(
          () => true,
          () => false,
        ),
      "a message is accepted again",
    );
    for (const content of ["5", "6", "7", "8"]) await say(content);
    await expect.poll(() => shown.map(({ content }) => content)).toEqual(["4", "5", "6", "7", "8"]);
    expect(await contents()).toEqual(sent);
    expect((await history(roomId, ben, addresses)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await reader.close();
  });
});
