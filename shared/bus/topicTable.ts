import { readFileSync } from "node:fs";
import { z } from "zod";
import { HUBS } from "../events/hubs.js";

/** A topic of Kafka, or a hub of Event Hubs, as it must be. */
export interface Topic {
  readonly name: string;
  readonly partitions: number;
  readonly retentionMs: number;
  readonly cleanup: "delete";
}

/** What was found of a topic and what was done about it, in words. */
export interface TopicRow {
  readonly topic: string;
  readonly partitions: string;
  readonly retention: string;
  readonly done: string;
  /** Sentences about what is not as it must be. Without any the topic is as it must be now. */
  readonly problems: readonly string[];
  /** Sentences about settings that are not ours, where they endanger events. */
  readonly remarks: readonly string[];
}

const HOUR_MS = 3_600_000;

/** Kafka's own rule (`Topic.LEGAL_CHARS`), which Event Hubs' names keep to, too. */
const Name = z.string().regex(/^[A-Za-z0-9._-]{1,249}$/, "letters, digits, '.', '_' and '-' make a name");

const Table = z.object({
  hubs: z.record(
    Name,
    z.object({
      partitions: z.int().min(1),
      retentionHours: z.number().positive(),
      cleanup: z.literal("delete").default("delete"),
    }),
  ),
});

/** The topics of the table in code or, where `file` is named, of one in the form of `local/hubs.json`. */
export function readTopics(file?: string): readonly Topic[] {
  const hubs = file === undefined ? HUBS : readTable(file);
  return Object.entries(hubs).map(([name, { partitions, retentionHours, cleanup }]) => ({
    name,
    partitions,
    retentionMs: Math.round(retentionHours * HOUR_MS),
    cleanup,
  }));
}

function readTable(file: string): z.output<typeof Table>["hubs"] {
  const form = '{"hubs": {"NAME": {"partitions": 1, "retentionHours": 24}}}';
  try {
    return Table.parse(JSON.parse(readFileSync(file, "utf8"))).hubs;
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
    throw new Error(`${file} is no table of topics like ${form}:\n${reason}`, { cause });
  }
}

/** Milliseconds as a person reads them: `168 h`. */
export const hours = (ms: number): string => `${Number((ms / HOUR_MS).toFixed(3))} h`;

const HEAD = { topic: "topic", partitions: "partitions", retention: "retention", done: "what was done" };

/** The rows as a table, the sentences below it. */
export function tableOf(rows: readonly TopicRow[]): string {
  const all = [HEAD, ...rows];
  const width = (column: "topic" | "partitions" | "retention") =>
    Math.max(...all.map((row) => row[column].length)) + 2;
  const [first, second, third] = [width("topic"), width("partitions"), width("retention")];
  const lines = all.map(
    ({ topic, partitions, retention, done }) =>
      topic.padEnd(first) + partitions.padEnd(second) + retention.padEnd(third) + done,
  );
  const sentences = rows.flatMap(({ problems, remarks }) => [...problems, ...remarks]);
  return [...lines, ...(sentences.length > 0 ? ["", ...sentences] : [])].join("\n");
}

/** On Kafka and on Event Hubs alike. */
export const wrongPartitions = ({ name, partitions }: Topic, found: number): string =>
  `${name} has ${found} partitions, the table says ${partitions}. The number is for good: it decides which ` +
  "partition a room's messages are kept in order in, so nothing here changes it. Name a table that says " +
  `${found} (--table FILE), or delete ${name} once all that waits in it is stored, and make it anew.`;
