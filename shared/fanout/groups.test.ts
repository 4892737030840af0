import { describe, expect, test } from "vitest";
import {
  type Destination,
  destinationKey,
  destinationText,
  parseDestination,
} from "../frames/destinations.js";
import { groupName } from "./groups.js";

test.each<[string, Destination, string]>([
  ["/sub/chat/room/1", { kind: "room", roomId: 1 }, "r1"],
  ["/sub/chat/room/1/read", { kind: "roomRead", roomId: 1 }, "rr1"],
  ["/sub/chat/room/9007199254740991", { kind: "room", roomId: 9007199254740991 }, "r9007199254740991"],
  ["/user/queue/errors", { kind: "userErrors" }, "e7"],
  ["/user/queue/session", { kind: "userSession" }, "s7"],
  ["/user/queue/rooms", { kind: "userRooms" }, "q7"],
])("%s is a destination", (text, destination, key) => {
  expect(parseDestination(text)).toEqual(destination);
  expect(destinationText(destination)).toBe(text);
  expect(destinationKey(destination, 7)).toBe(key);
});

test.each([
  "",
  "/",
  "/sub/chat/room",
  "/sub/chat/room/",
  "/sub/chat/room/0",
  "/sub/chat/room/01",
  "/sub/chat/room/-1",
  "/sub/chat/room/1.5",
  "/sub/chat/room/1e3",
  "/sub/chat/room/٣",
  "/sub/chat/room/1/",
  "/sub/chat/room/1/write",
  "/sub/chat/room/1/read/",
  "/sub/chat/room/1\n",
  "/sub/chat/room/9007199254740992",
  "/sub/chat/room/99999999999999999",
  "sub/chat/room/1",
  "/SUB/chat/room/1",
  " /sub/chat/room/1",
  "/user/queue/errors/",
  "/user/queue/rooms/1",
  "/user/queue/room",
  "/user/7/queue/errors",
  "/pub/chat/message",
])("%j is none", (text) => {
  expect(parseDestination(text)).toBeUndefined();
});

describe("a group's name", () => {
  test.each([
    ["r1", "sub-0", "r1:sub-0"],
    ["r1", "a_b.C-9", "r1:a_b.C-9"],
    ["r1", "/sub/chat/room/1", "r1:~L3N1Yi9jaGF0L3Jvb20vMQ"],
    ["e7", "own\\cid", "e7:~b3duXGNpZA"],
    ["r1", "비", "r1:~67mE"],
    ["r1", "a\n", "r1:~YQo"],
  ])("for %s and the id %j is %s", (key, wire, name) => {
    expect(groupName(key, wire)).toBe(name);
  });

  test("is another one for every other pair of destination and id", () => {
    const keys = ["r1", "r11", "rr1", "e1", "s1", "q1"];
    const ids = [
      "1",
      "11",
      "~MQ",
      "MQ",
      ":1",
      "1:1",
      "r1:1",
      "~",
      "a b",
      "a+b",
      "a%20b",
      "A",
      "a",
      "é",
      "e\u0301",
    ];
    const names = keys.flatMap((key) => ids.map((id) => groupName(key, id)));
    expect(new Set(names).size).toBe(names.length);
  });

  test("stays within the service's 1,024 characters for the longest id", () => {
    expect(groupName("rr9007199254740991", ":".repeat(256)).length).toBeLessThan(1_024);
  });
});
