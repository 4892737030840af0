import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ChatError } from "./errors.js";
import { memoryOutbox } from "./outbox.js";
import { Sender, type SenderOptions } from "./sender.js";
import { DEFAULT_TIMING } from "./timing.js";
import type { Message, Outbox, OutboxEntry } from "./types.js";

const USER = 1;
const ROOM = 7;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Body {
  readonly roomId: number;
  readonly content: string;
  readonly clientMessageId: string;
}

/** A sender whose service answers as a test says. */
function setUp(
  answer: (body: Body, attempt: number) => Promise<void> | void,
  options: Partial<SenderOptions> = {},
) {
  const sent: Body[] = [];
  const pauses: (number | undefined)[] = [];
  const errors: ChatError[] = [];
  const network = { isConnected: true };
  const sender = new Sender({
    timing: DEFAULT_TIMING,
    outbox: memoryOutbox(),
    send: async (body) => {
      sent.push(body as Body);
      await answer(body as Body, sent.length);
    },
    isConnected: () => network.isConnected,
    find: async () => undefined,
    onChange: () => {},
    onPaused: (until) => pauses.push(until),
    onError: (error) => errors.push(error),
    ...options,
  });
  const seen = (body: Body, seq = 1): void =>
    sender.seen({
      ...body,
      messageId: seq,
      seq,
      senderId: USER,
      senderNickname: "Ann",
      type: "TEXT",
      sentAt: "",
      unreadCount: 0,
    } as Message);
  const states = () => sender.pending(ROOM).map(({ content, state }) => `${content} ${state}`);
  const passes = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
  return { sender, sent, pauses, errors, network, seen, states, passes };
}

describe("messages of a room", () => {
  test("go out one after the other, each when the one before was accepted", async () => {
    let accept = () => {};
    const { sender, sent, states, passes, seen } = setUp(
      () => new Promise<void>((resolve) => (accept = resolve)),
    );
    const first = sender.add(USER, ROOM, "one", "TEXT");
    void sender.add(USER, ROOM, "two", "TEXT");
    await passes();
    expect(states()).toEqual(["one sending", "two sending"]);
    expect(sent.map(({ content }) => content)).toEqual(["one"]);
    accept();
    await passes();
    expect(states()).toEqual(["one accepted", "two sending"]);
    expect(sent.map(({ content }) => content)).toEqual(["one", "two"]);
    seen(sent[0]!);
    await expect(first).resolves.toMatchObject({ content: "one", state: "stored" });
    expect(states()).toEqual(["two sending"]);
  });

  test("are sent again with the same clientMessageId until they are taken", async () => {
    const { sender, sent, states, passes } = setUp((_, attempt) => {
      if (attempt < 4) throw new ChatError("UNAVAILABLE", "try again");
    });
    void sender.add(USER, ROOM, "one", "TEXT");
    void sender.add(USER, ROOM, "two", "TEXT");
    await passes(60_000);
    expect(sent.slice(0, 5).map(({ content }) => content)).toEqual(["one", "one", "one", "one", "two"]);
    expect(new Set(sent.slice(0, 4).map(({ clientMessageId }) => clientMessageId)).size).toBe(1);
    expect(states()).toEqual(["one accepted", "two accepted"]);
  });

  test("wait without a connection, and go on with the next one", async () => {
    const { sender, sent, network, passes, states } = setUp(() => {});
    network.isConnected = false;
    void sender.add(USER, ROOM, "one", "TEXT");
    await passes(60_000);
    expect(sent).toEqual([]);
    network.isConnected = true;
    sender.flush();
    await passes();
    expect(states()).toEqual(["one accepted"]);
  });

  test("that are refused don't hold up the others, and can be sent again or forgotten", async () => {
    let isRefusing = true;
    const { sender, passes, states } = setUp(({ content }) => {
      if (isRefusing && content === "bad") throw new ChatError("INVALID_MESSAGE", "no");
    });
    const refused = sender.add(USER, ROOM, "bad", "TEXT");
    void sender.add(USER, ROOM, "good", "TEXT");
    await expect(refused).rejects.toMatchObject({ code: "INVALID_MESSAGE" });
    await passes();
    expect(states()).toEqual(["bad refused", "good accepted"]);
    isRefusing = false;
    const [bad] = sender.pending(ROOM);
    sender.retry(ROOM, bad!.clientMessageId);
    await passes();
    expect(states()).toEqual(["bad accepted", "good accepted"]);
    sender.refused(
      new ChatError("NOT_A_MEMBER", "removed", { roomId: ROOM, clientMessageId: bad!.clientMessageId }),
    );
    expect(states()).toEqual(["bad refused", "good accepted"]);
    sender.discard(ROOM, bad!.clientMessageId);
    expect(states()).toEqual(["good accepted"]);
  });

  test("that are refused can be changed: another message replaces them", async () => {
    const outbox = memoryOutbox();
    const { sender, sent, passes, states, seen } = setUp(
      ({ content }) => {
        if (content.startsWith("bad")) throw new ChatError("INVALID_MESSAGE", "no");
      },
      { outbox },
    );
    sender.add(USER, ROOM, "bad", "TEXT").catch(() => {});
    void sender.add(USER, ROOM, "behind it", "TEXT");
    await passes();
    const [bad] = sender.pending(ROOM);
    const edited = sender.edit(ROOM, bad!.clientMessageId, "bad again");
    expect(states()).toEqual(["bad again sending", "behind it accepted"]);
    await expect(edited).rejects.toMatchObject({ code: "INVALID_MESSAGE" });
    const [again] = sender.pending(ROOM);
    const stored = sender.edit(ROOM, again!.clientMessageId, "good");
    await passes();
    expect(states()).toEqual(["good accepted", "behind it accepted"]);
    expect(sender.pending(ROOM)[0]).not.toHaveProperty("replaces");
    const kept = await outbox.load(USER);
    expect(kept.map(({ content }) => content)).toEqual(["good", "behind it"]);
    const bodies = sent.filter(({ content }) => content !== "behind it");
    expect(new Set(bodies.map(({ clientMessageId }) => clientMessageId)).size).toBe(3);
    seen(bodies.at(-1)!);
    await expect(stored).resolves.toMatchObject({ content: "good", state: "stored" });
    expect(states()).toEqual(["behind it accepted"]);
  });

  test("that are not refused can't be changed", async () => {
    const { sender, passes, states } = setUp(() => {});
    void sender.add(USER, ROOM, "one", "TEXT");
    await passes();
    const [one] = sender.pending(ROOM);
    await expect(sender.edit(ROOM, one!.clientMessageId, "two")).rejects.toMatchObject({
      code: "MESSAGE_NOT_FOUND",
      roomId: ROOM,
    });
    await expect(sender.edit(8, "nowhere", "two")).rejects.toMatchObject({ code: "MESSAGE_NOT_FOUND" });
    expect(states()).toEqual(["one accepted"]);
  });

  test("whose id is another message's already are sent again with another id", async () => {
    const { sender, sent, passes, states } = setUp(() => {});
    const stored = sender.add(USER, ROOM, "one", "TEXT");
    await passes();
    const { clientMessageId } = sent[0]!;
    sender.refused(
      new ChatError("CLIENT_MESSAGE_ID_REUSED", "the id is taken", { roomId: ROOM, clientMessageId }),
    );
    await expect(stored).rejects.toMatchObject({ code: "CLIENT_MESSAGE_ID_REUSED" });
    expect(states()).toEqual(["one refused"]);
    sender.retry(ROOM, clientMessageId);
    await passes();
    expect(states()).toEqual(["one accepted"]);
    expect(sent.map(({ content }) => content)).toEqual(["one", "one"]);
    expect(sent[1]!.clientMessageId).not.toBe(clientMessageId);
  });

  test("larger than the service takes never go out", async () => {
    const { sender, sent } = setUp(() => {});
    await expect(sender.add(USER, ROOM, "가".repeat(30_000), "TEXT")).rejects.toMatchObject({
      code: "MESSAGE_TOO_LARGE",
    });
    expect(sent).toEqual([]);
  });

  test("are at most a thousand", async () => {
    const { sender, network } = setUp(() => {});
    network.isConnected = false;
    for (let count = 0; count < 1_000; count += 1) void sender.add(USER, ROOM, `${count}`, "TEXT");
    await expect(sender.add(USER, ROOM, "one more", "TEXT")).rejects.toMatchObject({ code: "OUTBOX_FULL" });
  });
});

test("ids are UUIDs, also where a page isn't secure and the browser has no function for them", async () => {
  const { sender, sent, passes } = setUp(() => {});
  void sender.add(USER, ROOM, "secure", "TEXT");
  const { randomUUID } = crypto;
  try {
    Object.defineProperty(crypto, "randomUUID", { value: undefined, configurable: true });
    void sender.add(USER, ROOM, "not secure", "TEXT");
  } finally {
    Object.defineProperty(crypto, "randomUUID", { value: randomUUID, configurable: true });
  }
  await passes();
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  expect(sent.map(({ clientMessageId }) => uuid.test(clientMessageId))).toEqual([true, true]);
  expect(new Set(sent.map(({ clientMessageId }) => clientMessageId)).size).toBe(2);
});

test("the limit holds up all rooms until it lets them pass", async () => {
  const { sender, sent, pauses, passes, states } = setUp((_, attempt) => {
    if (attempt === 2) throw new ChatError("RATE_LIMIT_EXCEEDED", "slow down", { retryAfter: 12 });
  });
  void sender.add(USER, ROOM, "one", "TEXT");
  void sender.add(USER, ROOM, "two", "TEXT");
  await passes(1_000);
  void sender.add(USER, 8, "elsewhere", "TEXT");
  await passes(10_000);
  expect(sent.length).toBe(2);
  expect(sender.pausedUntil).toBeGreaterThan(Date.now());
  await passes(1_500);
  expect(sent.map(({ content }) => content)).toEqual(["one", "two", "two", "elsewhere"]);
  expect(states()).toEqual(["one accepted", "two accepted"]);
  expect(pauses).toEqual([expect.any(Number), undefined]);
});

describe("an accepted message that isn't seen", () => {
  test("is looked for in the history", async () => {
    const found: Message[] = [];
    const { sender, sent, passes } = setUp(() => {}, { find: async () => found[0] });
    const stored = sender.add(USER, ROOM, "one", "TEXT");
    await passes(9_000);
    found.push({
      ...sent[0]!,
      messageId: 5,
      seq: 5,
      senderId: USER,
      senderNickname: "Ann",
      type: "TEXT",
      sentAt: "",
      unreadCount: 0,
    });
    await passes(2_000);
    await expect(stored).resolves.toMatchObject({ seq: 5 });
    expect(sent.length).toBe(1);
  });

  test("is given up when it stays away though it was taken twice: it was deleted", async () => {
    const { sender, sent, passes, states } = setUp(() => {});
    const stored = sender.add(USER, ROOM, "one", "TEXT");
    stored.catch(() => {});
    await passes(300_000);
    expect(sent.length).toBe(2);
    expect(states()).toEqual([]);
    await expect(stored).rejects.toMatchObject({ code: "MESSAGE_NOT_FOUND" });
  });

  test("is sent once more when it isn't there, and refused when it can't be", async () => {
    const { sender, sent, passes, states } = setUp((_, attempt) => {
      if (attempt === 2) throw new ChatError("NOT_A_MEMBER", "removed");
    });
    const stored = sender.add(USER, ROOM, "one", "TEXT");
    stored.catch(() => {});
    await passes(11_000);
    expect(sent.length).toBe(2);
    expect(states()).toEqual(["one refused"]);
    await expect(stored).rejects.toMatchObject({ code: "NOT_A_MEMBER" });
  });
});

describe("an accepted message", () => {
  test("stays accepted, whatever else is in the way of looking for it", async () => {
    const find = () => Promise.reject(new ChatError("UNAUTHORIZED", "by a gateway"));
    const { sender, passes, states } = setUp(() => {}, { find });
    void sender.add(USER, ROOM, "one", "TEXT");
    await passes(120_000);
    expect(states()).toEqual(["one accepted"]);
  });

  test("is refused when the room is no more", async () => {
    const find = () => Promise.reject(new ChatError("NOT_A_MEMBER", "no"));
    const { sender, passes, states } = setUp(() => {}, { find });
    sender.add(USER, ROOM, "one", "TEXT").catch(() => {});
    await passes(20_000);
    expect(states()).toEqual(["one refused"]);
  });
});

test("a message that was seen is not refused any more, nor written down again", async () => {
  const memory = memoryOutbox();
  const put: string[] = [];
  const outbox: Outbox = {
    ...memory,
    put: (entry) => {
      put.push(entry.state);
      return memory.put(entry);
    },
  };
  let refuse = (_: Error) => {};
  const answer = () =>
    new Promise<void>((_, reject) => {
      refuse = reject;
    });
  const { sender, sent, seen, passes } = setUp(answer, { outbox });
  const stored = sender.add(USER, ROOM, "one", "TEXT");
  await passes();
  seen(sent[0]!);
  refuse(new ChatError("NOT_A_MEMBER", "removed just behind it"));
  await passes();
  expect(await stored).toMatchObject({ state: "stored" });
  expect(put).toEqual(["sending"]);
  expect(await outbox.load(USER)).toEqual([]);
});

describe("what was not expected", () => {
  const bug = expect.objectContaining({ code: "UNEXPECTED", cause: expect.any(TypeError) });
  const faulty = () => Promise.reject(new TypeError("a bug"));

  test("of sending refuses the message, which is kept, told, and can be sent again", async () => {
    const outbox = memoryOutbox();
    let isFaulty = true;
    const { sender, sent, errors, passes, states, seen } = setUp(
      ({ content }) => {
        if (isFaulty && content === "one") throw new TypeError("a bug");
      },
      { outbox },
    );
    const stored = sender.add(USER, ROOM, "one", "TEXT");
    void sender.add(USER, ROOM, "two", "TEXT");
    await expect(stored).rejects.toEqual(bug);
    await passes(9_000);
    expect(errors).toEqual([bug]);
    expect(states()[0]).toBe("one refused");
    expect(sent.filter(({ content }) => content === "one").length).toBe(1);
    expect((await outbox.load(USER))[0]).toMatchObject({ content: "one", state: "refused" });
    isFaulty = false;
    sender.retry(ROOM, sent[0]!.clientMessageId);
    await passes();
    expect(states()[0]).toBe("one accepted");
    seen(sent[0]!);
  });

  test("of looking for an accepted message leaves it accepted, until the next connection", async () => {
    let find: SenderOptions["find"] = faulty;
    const { sender, sent, errors, passes, states } = setUp(() => {}, { find: (entry) => find(entry) });
    const stored = sender.add(USER, ROOM, "one", "TEXT");
    await passes(600_000);
    expect(errors).toEqual([bug, bug, bug]);
    expect(states()).toEqual(["one accepted"]);
    find = async () => ({ ...sent[0]!, messageId: 5, seq: 5 }) as Message;
    sender.flush();
    await passes();
    await expect(stored).resolves.toMatchObject({ seq: 5 });
  });

  test("of sending an accepted message once more leaves it accepted", async () => {
    const { sender, errors, passes, states } = setUp((_, attempt) => {
      if (attempt === 2) throw new TypeError("a bug");
    });
    void sender.add(USER, ROOM, "one", "TEXT");
    await passes(11_000);
    expect(errors).toEqual([bug]);
    expect(states()).toEqual(["one accepted"]);
  });

  test("of the outbox leaves out what can't be read of it, and only that", async () => {
    const outbox = memoryOutbox();
    const load = async () =>
      [null, 7, { roomId: ROOM }, { ...kept, content: "old" }] as unknown as readonly OutboxEntry[];
    const { sender, errors, passes, states } = setUp(() => {}, { outbox: { ...outbox, load } });
    await sender.load(USER);
    sender.flush();
    await passes();
    expect(states()).toEqual(["old accepted"]);
    expect(errors).toMatchObject([{ code: "OUTBOX_FAILED", message: "3 kept messages can't be read" }]);
  });

  const kept: OutboxEntry = {
    state: "sending",
    userId: USER,
    roomId: ROOM,
    clientMessageId: "kept",
    type: "TEXT",
    content: "old",
    createdAt: "2026-01-02T03:04:05.678Z",
  };
});

test("an accepted message is sent once more, also where it could not be looked for at first", async () => {
  let looks = 0;
  const find = async () => {
    looks += 1;
    if (looks === 1) throw new ChatError("OFFLINE", "not now");
    return undefined;
  };
  const { sender, sent, passes } = setUp(() => {}, { find });
  void sender.add(USER, ROOM, "one", "TEXT");
  await passes(11_000);
  expect([looks, sent.length]).toEqual([1, 1]);
  await passes(21_000);
  expect(sent.length).toBe(2);
});

describe("the outbox", () => {
  const entry = (
    content: string,
    state: OutboxEntry["state"],
    more: Partial<OutboxEntry> = {},
  ): OutboxEntry => ({
    state,
    userId: USER,
    roomId: ROOM,
    clientMessageId: content,
    type: "TEXT",
    content,
    createdAt: "2026-01-02T03:04:05.678Z",
    ...more,
  });

  test("gives back what an earlier run left, and keeps what this one changes", async () => {
    const outbox = memoryOutbox();
    await outbox.put(entry("one", "sending"));
    await outbox.put(entry("two", "refused", { refusal: { code: "INVALID_MESSAGE", message: "no" } }));
    await outbox.put(entry("of another user", "sending", { userId: 2 }));
    const { sender, sent, passes, states, seen } = setUp(() => {}, { outbox });
    await sender.load(USER);
    expect(sender.pending(ROOM)[1]!.error).toMatchObject({ code: "INVALID_MESSAGE" });
    sender.flush();
    await passes();
    expect(states()).toEqual(["one accepted", "two refused"]);
    seen(sent[0]!);
    sender.discard(ROOM, "two");
    await passes();
    expect(await outbox.load(USER)).toEqual([]);
    expect((await outbox.load(2)).length).toBe(1);
  });

  test("of a run that ended while a refused message was changed gives the changed one only", async () => {
    const outbox = memoryOutbox();
    await outbox.put(entry("bad", "refused", { refusal: { code: "INVALID_MESSAGE", message: "no" } }));
    // As one that doesn't know of it has both.
    const changed = entry("good", "sending", { replaces: "bad" });
    const load = async (userId: number) => [...(await outbox.load(userId)), changed];
    const { sender, passes, states } = setUp(() => {}, { outbox: { ...outbox, load } });
    await sender.load(USER);
    await passes();
    expect(states()).toEqual(["good sending"]);
    expect(await outbox.load(USER)).toEqual([]);
  });

  test("that can't be read at first is read again, and nothing waits for it", async () => {
    const outbox = memoryOutbox();
    await outbox.put(entry("old", "sending"));
    let loads = 0;
    const load: Outbox["load"] = (userId) => {
      loads += 1;
      return loads < 3 ? Promise.reject(new Error("not now")) : outbox.load(userId);
    };
    const { sender, passes, states, errors } = setUp(() => {}, { outbox: { ...outbox, load } });
    await sender.load(USER);
    void sender.add(USER, ROOM, "new", "TEXT");
    await passes();
    expect(states()).toEqual(["new accepted"]);
    await passes(10_000);
    expect(loads).toBe(3);
    expect(states()).toEqual(["old accepted", "new accepted"]);
    expect(errors.map(({ code }) => code)).toContain("OUTBOX_FAILED");
  });

  test("goes before what is written while it is read", async () => {
    const outbox = memoryOutbox();
    await outbox.put(entry("old", "sending"));
    let isRead = () => {};
    const read = new Promise<void>((resolve) => {
      isRead = resolve;
    });
    const load: Outbox["load"] = async (userId) => {
      await read;
      return outbox.load(userId);
    };
    const { sender, sent, passes, states } = setUp(() => {}, { outbox: { ...outbox, load } });
    const loaded = sender.load(USER);
    void sender.add(USER, ROOM, "new", "TEXT");
    sender.flush();
    await passes();
    expect(sent).toEqual([]);
    isRead();
    await loaded;
    expect(states()).toEqual(["old sending", "new sending"]);
    sender.flush();
    await passes();
    expect(sent.map(({ content }) => content)).toEqual(["old", "new"]);
  });

  test("that hangs holds up the first message for moments, and the others not at all", async () => {
    const never = new Promise<never>(() => {});
    const outbox: Outbox = { load: async () => [], put: () => never, remove: () => never };
    const { sender, errors, passes, states } = setUp(() => {}, { outbox });
    void sender.add(USER, ROOM, "one", "TEXT");
    await passes(2_000);
    expect(states()).toEqual(["one sending"]);
    await passes(1_500);
    expect(states()).toEqual(["one accepted"]);
    void sender.add(USER, ROOM, "two", "TEXT");
    await passes();
    expect(states()).toEqual(["one accepted", "two accepted"]);
    expect(errors.length).toBe(1);
  });

  test("that fails keeps nothing from being sent, and is told", async () => {
    const outbox: Outbox = {
      load: () => Promise.reject(new Error("no storage")),
      put: () => Promise.reject(new Error("no storage")),
      remove: () => Promise.reject(new Error("no storage")),
    };
    const { sender, errors, passes, states } = setUp(() => {}, { outbox });
    await sender.load(USER);
    void sender.add(USER, ROOM, "one", "TEXT");
    await passes();
    expect(states()).toEqual(["one accepted"]);
    expect(errors.map(({ code }) => code)).toEqual(["OUTBOX_FAILED"]);
  });
});
