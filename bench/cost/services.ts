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

/** A row for each room that a statement names, or for each pair of a room and a user. */
const rowsOf: readonly [RegExp, (values: readonly unknown[]) => readonly object[]][] = [
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
  [/FROM rooms\b/, ([rooms]) => (rooms as number[]).map(roomRow)],
  [/FROM room_members/, (values) => pairs(values).map(([room, user]) => memberRow(room, user))],
  [/FROM messages m/, () => []],
  [/FROM subscription_ids/, ([keys]) => (keys as Buffer[]).map(subscriptionRow)],
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

const pairs = (values: readonly unknown[]): readonly (readonly [number, number])[] =>
  values.flatMap((room, index) =>
    index % 2 === 1 ? [] : (values[index + 1] as number[]).map((user) => [room as number, user] as const),
  );

/** A database that has every room and member, and takes everything. */
export function answeringDatabase(calls: Calls): Database {
  const answer = (sql: string, values: readonly unknown[] = []): [unknown, unknown[]] => {
    calls.sql += 1;
    if (!/^\s*SELECT/.test(sql)) return [{ affectedRows: 1, insertId: 1 }, []];
    const found = rowsOf.find(([pattern]) => pattern.test(sql));
    if (!found) throw new Error(`bench/cost/services.ts has no answer to: ${sql}`);
    return [found[1](values), []];
  };
  const connection = {
    query: async ({ sql, values }: { sql: string; values?: unknown[] }) => answer(sql, values),
    release: () => {},
    destroy: () => {},
  };
  return {
    getConnection: async () => connection,
    query: async (sql: string, values?: unknown[]) => answer(sql, values),
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
