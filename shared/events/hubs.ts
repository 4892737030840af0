import { MESSAGES_DEAD_LETTER_HUB, MESSAGES_HUB, RECOVER_GROUP } from "./messages.js";
import { READS_DEAD_LETTER_HUB, READS_HUB } from "./reads.js";

export interface Hub {
  /** The usual number. It is for good: Event Hubs can't change it below its Premium tier. */
  readonly partitions: number;
  /** 168 is the most of Event Hubs' Standard tier. What nobody has read by then is lost. */
  readonly retentionHours: number;
  /** What happens to events past the retention. `compact` would keep the last of each key instead. */
  readonly cleanup: "delete";
  readonly consumerGroups: readonly string[];
}

/** Hubs that clients' events wait in survive a long weekend without anybody who could mend the database. */
const WEEK = 168;

/**
 * Every hub there is. The deployment's table (`infra/hubs.json`) and the local one (`local/hubs.json`) are
 * compared with this one by tests.
 */
export const HUBS: Readonly<Record<string, Hub>> = {
  [MESSAGES_HUB]: {
    partitions: 16,
    retentionHours: WEEK,
    cleanup: "delete",
    consumerGroups: ["chat-persist", RECOVER_GROUP],
  },
  [READS_HUB]: {
    partitions: 8,
    retentionHours: WEEK,
    cleanup: "delete",
    consumerGroups: ["chat-read", RECOVER_GROUP],
  },
  // No program reads them, only the person who mends the cause.
  [MESSAGES_DEAD_LETTER_HUB]: { partitions: 1, retentionHours: WEEK, cleanup: "delete", consumerGroups: [] },
  [READS_DEAD_LETTER_HUB]: { partitions: 1, retentionHours: WEEK, cleanup: "delete", consumerGroups: [] },
};
