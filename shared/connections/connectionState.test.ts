import { describe, expect, test } from "vitest";
import { haveOneHiddenClass } from "../../tests/support/hiddenClass.js";
import { type ConnectionState, decodeState, encodeState, fits } from "./connectionState.js";

/** There and back as `@azure/web-pubsub-express` takes it: JSON in base64, in a header. */
const overTheWire = (state: ConnectionState): unknown => {
  const header = Buffer.from(JSON.stringify(encodeState(state))).toString("base64");
  return JSON.parse(Buffer.from(header, "base64").toString());
};

describe("a state comes back as it went", () => {
  test.each<[string, ConnectionState]>([
    ["before CONNECT", { expiresAt: 1_900_000_000, subscriptions: new Map() }],
    [
      "with all it can have",
      {
        version: "1.2",
        nickname: 'Ann "비" 👩‍🚀 \n\u0001',
        expiresAt: 1_900_000_000.5,
        subscriptions: new Map([
          ["sub-0", "r1"],
          ["/sub/chat/room/2", "rr2"],
          ["__proto__", "e1"],
          ["own\\cid", "s1"],
        ]),
      },
    ],
  ])("%s", (_what, state) => {
    expect(decodeState(overTheWire(state))).toEqual(state);
  });

  test("without its subscriptions once the last one is gone", () => {
    const state = { version: "1.1" as const, expiresAt: 1, subscriptions: new Map() };
    expect(overTheWire(state)).toEqual({ v: "1.1", x: 1 });
  });
});

test("states with the same members have one hidden class", async () => {
  const encoded = { v: "1.2", n: "Ann", x: 1_900_000_000, d: "device", o: 3, s: [["sub-0", "r1"]] };
  expect(await haveOneHiddenClass(() => decodeState(encoded)!)).toBe(true);
});

test.each([
  [undefined],
  [null],
  ["text"],
  [[]],
  [{}],
  [{ x: "1" }],
  [{ x: null }],
  [{ x: 1, v: "1.3" }],
  [{ x: 1, v: null }],
  [{ x: 1, n: 5 }],
  [{ x: 1, s: {} }],
  [{ x: 1, s: [["a"]] }],
  [{ x: 1, s: [["a", 1]] }],
  [{ x: 1, s: [["a", "b", "c"]] }],
])("%j is no state of ours", (encoded) => {
  expect(decodeState(encoded)).toBeUndefined();
});

describe("the room for a state", () => {
  const stateWith = (count: number, id: (index: number) => string, nickname = "n"): ConnectionState => ({
    version: "1.2",
    nickname,
    expiresAt: 1_900_000_000,
    subscriptions: new Map(Array.from({ length: count }, (_, index) => [id(index), `r${index}`])),
  });

  test("is enough for 100 subscriptions of a stock client", () => {
    expect(fits(stateWith(100, (index) => `sub-${index}`))).toBe(true);
  });

  test("is enough for the longest nickname", () => {
    expect(fits(stateWith(0, String, "\u0001".repeat(100)))).toBe(true);
    expect(fits(stateWith(1, String, "🚀".repeat(100)))).toBe(true);
  });

  test("ends before 100 long ids", () => {
    expect(fits(stateWith(100, (index) => `/sub/chat/room/${index}/read`))).toBe(false);
  });

  test("counts the bytes of the header as they are sent, exactly", () => {
    for (let length = 2_100; length < 2_300; length += 1) {
      const state = stateWith(1, () => "i".repeat(length));
      const header = Buffer.from(JSON.stringify(encodeState(state))).toString("base64");
      expect(fits(state)).toBe(header.length <= 3_000);
    }
  });
});
