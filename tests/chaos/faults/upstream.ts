import { setTimeout as sleep } from "node:timers/promises";
import { between, randomOf } from "../random.js";
import type { Request } from "../stack/front.js";
import { within } from "../wait.js";
import type { Kind } from "./kind.js";

/** No message waits longer for the `disconnected` that is to pass it. */
const HELD_MS = 3_000;

const eventOf = ({ path }: Request): string => /\/upstream\/(\w+)/.exec(path)?.[1] ?? "";
const connectionOf = ({ headers }: Request): string => String(headers["ce-connectionid"] ?? "");

/**
 * The service gets no answer to an event that a host has handled, and delivers it again to whichever host is next;
 * so with `amount` of a hundred.
 */
export const upstreamTwice: Kind = {
  name: "event twice",
  draw: (random) => ({
    target: "front",
    ms: between(random, 3_000, 10_000),
    amount: between(random, 10, 100),
  }),
  async start({ stack: { front } }, { at, amount }) {
    const random = randomOf(at);
    front.tamper = async (_, pass) => {
      if (random() * 100 < amount) await pass().catch(() => {});
      return pass();
    };
    return async () => {
      front.tamper = undefined;
    };
  },
};

/**
 * A host gets a connection's message only after its `disconnected`: the network has held it, and the sockets are cut
 * meanwhile.
 */
export const disconnectedFirst: Kind = {
  name: "disconnected first",
  draw: (random) => ({
    target: "front",
    ms: between(random, 2_000, 5_000),
    amount: between(random, 20, 100),
  }),
  async start({ stack: { front, links } }, { at, ms, amount }) {
    const random = randomOf(at);
    const gone = new Set<string>();
    front.tamper = async (request, pass) => {
      const connection = connectionOf(request);
      if (eventOf(request) === "message" && random() * 100 < amount)
        await within(HELD_MS, () => gone.has(connection));
      const answer = await pass();
      if (eventOf(request) === "disconnected") gone.add(connection);
      return answer;
    };
    await sleep(ms / 2);
    links["clients-sockets"].cut();
    return async () => {
      front.tamper = undefined;
    };
  },
};
