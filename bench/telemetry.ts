/**
 * What spans cost: handling a frame and a batch with nobody else involved, as no provider is registered,
 * against the same code with spans compiled out, in turn in one run. Run as a program it prints the result
 * and writes it to `bench/results/telemetry.json`.
 */
import { cpSync, writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { cwd, version as nodeVersion } from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { trace } from "@opentelemetry/api";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { handleMessage } from "../shared/commands/dispatch.js";
import type { consumeBatch } from "../shared/consumers/consumeBatch.js";

const ROUNDS = 101;
const ROUND_MS = 40;
const EVENTS = 200;

const BUILT = join(dirname(fileURLToPath(import.meta.url)), "..", "shared");

/** `platform/trace.ts` as it would be without spans. */
const WITHOUT_SPANS = `
export const SpanKind = {};
export const spanContextOf = () => undefined;
export const traceparentOf = () => "";
export const currentTraceparent = () => undefined;
export const inTraceOf = (_traceparent, work) => work();
export const detached = (work) => work();
export const inSpan = (_start, work) => work();
export const hasTracers = () => false;
export const annotate = () => {};
export const fail = () => {};
export const linksTo = () => [];
`;

type Work = () => Promise<unknown>;
type Works = Readonly<Record<"frame" | "batch", Work>>;

const nothing = async (): Promise<void> => {};

/** What a frame needs, answered at once. */
const FRAME_DEPS = {
  sessions: { admit: async () => ({ standing: "admitted", order: 1, toClose: [], retryAfter: 0 }) },
  members: { isMember: async () => true },
  bus: { publish: nothing },
  broadcaster: { sendToConnection: nothing },
  limits: { messages: 0, sessions: 0 },
  now: () => 1_800_000_000_000,
} as unknown as Parameters<typeof handleMessage>[2];

const FRAME = {
  data: Buffer.from(
    `SEND\ndestination:/pub/chat/message\nreceipt:1\n\n${JSON.stringify({ roomId: 1, content: "a".repeat(100) })}\0`,
  ),
  eventId: "1",
};
const CONNECTION: Parameters<typeof handleMessage>[1] = {
  connectionId: "connection",
  userId: 7,
  state: { version: "1.2", nickname: "Ann", expiresAt: 2_000_000_000, order: 1, subscriptions: new Map() },
};

/** A database in which the position stands before the batch, and which takes everything. */
const connection = {
  query: async () => [[{ stored_sequence_number: -1, broadcast_sequence_number: -1 }], []],
  release: () => {},
  destroy: () => {},
};
const DATABASE = {
  getConnection: async () => connection,
  query: connection.query,
  answers: { at: 0 },
  statementMs: 1_000,
  onFault: () => {},
};
const BATCH_DEPS = {
  database: DATABASE,
  bus: { system: "eventhubs", hubId: async () => "id" },
  now: () => 0,
  retryBudgetMs: 0,
} as unknown as Parameters<typeof consumeBatch>[2];

const BATCH = {
  hub: "chat-messages",
  partitionId: "0",
  events: Array.from({ length: EVENTS }, (_, sequenceNumber) => ({
    sequenceNumber,
    key: "1",
    body: Buffer.from("{}"),
    traceparent: `00-0af7651916cd43dd8448eb211c80319c-${(sequenceNumber + 1).toString(16).padStart(16, "0")}-01`,
  })),
};
const HANDLER: Parameters<typeof consumeBatch>[1] = {
  lookUp: async () => async () => ({ result: () => undefined, refused: [] }),
  deadLetterHub: "",
  nothing: undefined,
  combine: () => undefined,
  show: nothing,
  shown: { kind: "byOutbox" },
};

/** A copy of the built code with modules of its own. */
async function load(name: string, traceModule?: string): Promise<Works> {
  const folder = join(BUILT, "..", "bench", "telemetry", name, "shared");
  cpSync(BUILT, folder, { recursive: true });
  if (traceModule !== undefined) writeFileSync(join(folder, "platform", "trace.js"), traceModule);
  const at = (path: string) => import(pathToFileURL(join(folder, path)).href);
  const handle: typeof handleMessage = (await at("commands/dispatch.js")).handleMessage;
  const consume: typeof consumeBatch = (await at("consumers/consumeBatch.js")).consumeBatch;
  return {
    frame: () => handle(FRAME, CONNECTION, FRAME_DEPS),
    batch: () => consume(BATCH, HANDLER, BATCH_DEPS),
  };
}

/** Microseconds of one call, over one round. */
async function timed(work: Work): Promise<number> {
  const end = performance.now() + ROUND_MS;
  const began = performance.now();
  let calls = 0;
  while (performance.now() < end) {
    for (let times = 0; times < 50; times += 1) await work();
    calls += 50;
  }
  return ((performance.now() - began) * 1_000) / calls;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

interface Compared {
  readonly case: string;
  /** Microseconds of a call. */
  readonly without: number;
  readonly spans: number;
  /** The median of the rounds' ratios. */
  readonly ratio: number;
}

async function compare(name: string, without: Work, spans: Work): Promise<Compared> {
  for (const work of [without, spans]) await timed(work);
  const pairs: [without: number, spans: number][] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    // Each is first in half of the rounds.
    if (round % 2 === 0) pairs.push([await timed(without), await timed(spans)]);
    else
      pairs.push(
        ([await timed(spans), await timed(without)] as [number, number]).reverse() as [number, number],
      );
  }
  return {
    case: name,
    without: median(pairs.map(([one]) => one)),
    spans: median(pairs.map(([, one]) => one)),
    ratio: median(pairs.map(([one, other]) => other / one)),
  };
}

/** A provider that records all spans and sends them nowhere. */
async function record(): Promise<void> {
  const { BatchSpanProcessor, TracerProvider } = await import("@opentelemetry/sdk-trace");
  const exporter: SpanExporter = { export: (_spans, done) => done({ code: 0 }), shutdown: nothing };
  trace.setGlobalTracerProvider(
    new TracerProvider({ spanProcessors: [new BatchSpanProcessor({ exporter })] }),
  );
}

const works = { without: await load("without", WITHOUT_SPANS), spans: await load("spans") };
const rows: Compared[] = [];
for (const name of ["frame", "batch"] as const)
  rows.push(await compare(`${name}, no provider`, works.without[name], works.spans[name]));
// The same code twice says what the noise is.
const again = await load("again", WITHOUT_SPANS);
for (const name of ["frame", "batch"] as const)
  rows.push(await compare(`${name}, both without`, works.without[name], again[name]));
await record();
for (const name of ["frame", "batch"] as const)
  rows.push(await compare(`${name}, all recorded`, works.without[name], works.spans[name]));
console.table(
  rows.map(({ case: name, without, spans, ratio }) => ({
    case: name,
    "without, µs": without.toFixed(2),
    "with, µs": spans.toFixed(2),
    ratio: ratio.toFixed(3),
  })),
);
const result = {
  name: "telemetry",
  node: nodeVersion,
  cpus: availableParallelism(),
  date: new Date().toISOString(),
  rows,
};
await mkdir(join(cwd(), "bench/results"), { recursive: true });
await writeFile(join(cwd(), "bench/results/telemetry.json"), `${JSON.stringify(result, null, 2)}\n`);
process.exit(0);
