import { expect, test } from "vitest";
import type { MembersCache } from "../redis/ports.js";
import type { Frame } from "../stomp/frame.js";
import { lookAhead } from "./lookAhead.js";

const sent = (body: string, destination = "/pub/chat/message", command = "SEND"): Frame =>
  ({ command, headers: new Map([["destination", destination]]), body }) as unknown as Frame;

/** A cache in which everybody is a member of odd rooms, and what it was asked. */
function cache(): { members: MembersCache; asked: string[] } {
  const asked: string[] = [];
  const note = (name: string, ...args: unknown[]): void => void asked.push([name, ...args].join(" "));
  return {
    asked,
    members: {
      isMember: async (roomId, userId) => {
        note("isMember", roomId, userId);
        return roomId % 2 === 1;
      },
      membersVersion: async (roomId) => {
        note("version", roomId);
        return "1";
      },
      putMembers: async (roomId) => note("put", roomId),
      dropMembers: async (roomId) => note("drop", roomId),
    },
  };
}

test.each([
  ["/pub/chat/message", '{"roomId":7,"content":"hello"}'],
  ["/pub/chat/message", '{"content":"hello", "roomId" : 7 }'],
  ["/pub/chat/read", '{"roomId":7,"messageId":1}'],
])("the room of a frame to %s is asked for once, before the command asks", async (destination, body) => {
  const { members, asked } = cache();
  const ahead = lookAhead(sent(body, destination), 3, members);
  expect(asked).toEqual(["isMember 7 3"]);
  expect([await ahead.isMember(7, 3), await ahead.isMember(7, 3)]).toEqual([true, true]);
  expect(asked).toEqual(["isMember 7 3"]);
});

test("a wrong guess is not used: the command's own room is asked for", async () => {
  const { members, asked } = cache();
  const body = '{"content":"\\"roomId\\":7,","x":{"roomId":7,"y":0},"roomId":8}';
  const ahead = lookAhead(sent(body), 3, members);
  expect(await ahead.isMember(8, 3)).toBe(false);
  expect(await ahead.isMember(7, 4)).toBe(true);
  expect(asked).toEqual(["isMember 7 3", "isMember 8 3", "isMember 7 4"]);
});

test("all else goes to the cache", async () => {
  const { members, asked } = cache();
  const ahead = lookAhead(sent('{"roomId":7,"content":"a"}'), 3, members);
  expect(await ahead.membersVersion(7)).toBe("1");
  await ahead.putMembers(7, [1], "1");
  await ahead.dropMembers(7);
  expect(asked).toEqual(["isMember 7 3", "version 7", "put 7", "drop 7"]);
});

test.each([
  ["another command", sent('{"roomId":7}', "/pub/chat/message", "SUBSCRIBE")],
  ["another destination", sent('{"roomId":7}', "/pub/chat/token")],
  ["no room", sent('{"content":"a"}')],
  ["a room that is no number", sent('{"roomId":"7"}')],
  ["a long frame", sent(`{"content":"${"a".repeat(9_000)}","roomId":7}`)],
])("nothing is asked ahead for %s", (_, frame) => {
  const { members, asked } = cache();
  expect(lookAhead(frame, 3, members)).toBe(members);
  expect(asked).toEqual([]);
});

test("an answer that nobody reads is no unhandled failure", async () => {
  const { members } = cache();
  members.isMember = async () => {
    throw new Error("away");
  };
  lookAhead(sent('{"roomId":7,"content":"a"}'), 3, members);
  await new Promise((resolve) => setImmediate(resolve));
});
