import type { RedisInspection } from "../redis/inspection.js";
import {
  listOverdueAnswers,
  listOverdueChanges,
  listOverdueReads,
  type Overdue,
} from "../store/auditedLists.js";
import type { Database } from "../store/database.js";
import type { Area, Finding } from "./area.js";

interface Deps {
  readonly database: Database;
  readonly inspection: RedisInspection;
}

/** The sweep takes up what is older than 5 s, and a process that died has had its reads for a minute. */
const CHANGES_SECONDS = 60;
const READS_SECONDS = 120;
/** The sweep deletes what is older than a day. */
const ANSWERS_SECONDS = 25 * 3_600;
export const SWEPT_MS = 60_000;
const NAMED = 100;

const LISTS = ["membership_outbox", "read_outbox", "idempotency_keys", "unfinished_users"] as const;
type List = (typeof LISTS)[number];

/** What the sweep has left undone: it runs every five seconds, so these lists are empty but for moments. */
export function listsArea({ database, inspection }: Deps, roomId?: number): Area<List> {
  const find: Readonly<Record<List, () => Promise<readonly Overdue[]>>> = {
    membership_outbox: () => listOverdueChanges(database, CHANGES_SECONDS, NAMED),
    read_outbox: () => listOverdueReads(database, READS_SECONDS, NAMED),
    idempotency_keys: () => listOverdueAnswers(database, ANSWERS_SECONDS),
    unfinished_users: async () => usersOf(await inspection.listOverdueUsers(SWEPT_MS, NAMED)),
  };
  return {
    name: "lists",
    async *pages() {
      yield { places: LISTS };
    },
    async look(lists) {
      const findings: Finding<List>[] = [];
      for (const list of lists)
        for (const one of await find[list]())
          if (roomId === undefined || one.roomId === roomId) findings.push(findingOf(list, one));
      return findings;
    },
    async mend() {},
  };
}

const usersOf = ({ length }: readonly number[]): readonly Overdue[] =>
  length === 0 ? [] : [{ roomId: undefined, rows: length, seconds: SWEPT_MS / 1_000 }];

const findingOf = (list: List, { roomId, rows, seconds }: Overdue): Finding<List> => ({
  place: list,
  kind: list,
  where: roomId === undefined ? "all" : `room ${roomId}`,
  expected: "empty",
  found: `${rows} waiting, the oldest for ${seconds} s or more`,
  unmendable: "the sweep does this work: see in the log whether it runs, and why this fails",
});
