import { Calls } from "./calls.js";
import { ChatClient } from "./client.js";
import { type Event, History } from "./history.js";
import type { Random } from "./random.js";
import { openRaw } from "./rawLink.js";
import { openStompJs } from "./stompJsLink.js";
import type { Target } from "./target.js";

/** A user with one or two devices, and a history of its own for the HTTP calls. */
export interface Person {
  readonly user: number;
  readonly calls: Calls;
  readonly history: History;
  readonly clients: readonly ChatClient[];
}

export interface CastOptions {
  readonly target: Target;
  readonly folder: string;
  readonly random: Random;
  readonly count: (event: Event) => void;
  readonly isOver: () => boolean;
}

/** Connects the devices of these users: every second user has two, every second device is a stock client. */
export function gather(users: readonly number[], options: CastOptions): Person[] {
  let devices = 0;
  return users.map((user, index) => {
    const { target, folder, random, count, isOver } = options;
    const history = new History(folder, `${user}-calls`, user, count);
    const calls = new Calls(target, history, isOver);
    const clients = Array.from({ length: 1 + (index % 2) }, (_, device) => {
      const open = devices++ % 2 === 0 ? openRaw : openStompJs;
      const own = new History(folder, `${user}-${device}`, user, count);
      const fill = (client: ChatClient, room: number, after: number): void =>
        void new Calls(target, client.history, isOver).messagesAfter(room, after);
      return new ChatClient({ target, open, history: own, random, device: `d${device}`, fill });
    });
    return { user, calls, history, clients };
  });
}
