import type { Broadcaster } from "../../shared/broadcast/broadcaster.js";
import type { EventBus } from "../../shared/bus/eventBus.js";
import type { Database } from "../../shared/store/database.js";

/** What was asked of each service. */
export interface Calls {
  redis: number;
  bus: number;
  sql: number;
  rest: number;
}

/** Of each room. */
const LAST_SEQ = 1_000;

const numbersOf = (list: string): readonly number[] => list.split(", ").map(Number);

/** A row for each room that a statement of a transaction names, or for each pair of a room and a user. */
const rowsOf: readonly [RegExp, (statement: string) => readonly object[]][] = [
  [
    /FROM stream_positions/,
    () => [
      {
        stored_sequence_number: -1,
        broadcast_sequence_number: -1,
        stored_on: null,
        stored_on_number: null,
        shown_message_id: null,
        broadcast_by: null,
      },
    ],
  ],
  [
    /FROM rooms\b/,
    (statement) =>
      numbersOf(/room_id IN \(([\d, ]+)\)/.exec(statement)![1]!).map((roomId) => roomRow(roomId)),
  ],
  [
    /FROM room_members/,
    (statement) =>
      [...statement.matchAll(/room_id = (\d+) AND user_id IN \(([\d, ]+)\)/g)].flatMap(([, room, users]) =>
        numbersOf(users!).map((user) => memberRow(Number(room), user)),
      ),
  ],
  [/FROM messages m/, () => []],
  [
    /FROM subscription_ids/,
    (statement) =>
      [...statement.matchAll(/X'([0-9a-f]+)'/g)].map(([, key]) => subscriptionRow(Buffer.from(key!, "hex"))),
  ],
];

const roomRow = (roomId: number) => ({
  room_id: roomId,
  type: "GROUP",
  name: "room",
  creator_id: 1,
  pair_key: null,
  last_seq: LAST_SEQ,
  last_message_id: 900,
  last_uncounted: 0,
  member_count: 10,
  id_step: 1,
  awaited_count: 0,
});

const memberRow = (roomId: number, userId: number) => ({
  room_id: roomId,
  user_id: userId,
  joined_seq: 0,
  last_read_seq: LAST_SEQ - 5,
  last_read_message_id: 895,
  hidden_unread: 0,
});

const subscriptionRow = (key: Buffer) => ({
  destination: key,
  subscription_id: Buffer.from("sub-0"),
  packed: 0,
});

/** A database that has every room and member, and takes everything. */
export function answeringDatabase(calls: Calls): Database {
  const answer = (statement: string): unknown => {
    calls.sql += 1;
    if (!statement.startsWith("SELECT")) return { affectedRows: 1, insertId: 1 };
    const found = rowsOf.find(([pattern]) => pattern.test(statement));
    if (!found) throw new Error(`bench/cost/services.ts has no answer to: ${statement}`);
    return found[1](statement);
  };
  const connection = {
    query: async ({ sql }: { sql: string }) => {
      const answers = sql.split(";\n").map((statement) => answer(statement.trim()));
      return answers.length === 1 ? [answers[0], []] : [answers, answers.map(() => [])];
    },
    release: () => {},
    destroy: () => {},
  };
  return {
    getConnection: async () => connection,
    query: async (sql: string) => [answer(sql), []],
    answers: { at: 0 },
    statementMs: 1_000,
    poolSize: 16,
    onFault: () => {},
  } as unknown as Database;
}

/** A bus that takes everything. */
export const takingBus = (calls: Calls): EventBus =>
  ({
    system: "eventhubs",
    hubId: async () => "id",
    connection: () => "open",
    publish: async () => {
      calls.bus += 1;
    },
  }) as unknown as EventBus;

/** A socket service that takes everything. */
export const takingBroadcaster = (calls: Calls): Broadcaster =>
  ({
    sendToGroup: async () => {
      calls.rest += 1;
    },
  }) as unknown as Broadcaster;
