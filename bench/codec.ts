/**
 * Compares our STOMP codec with the one of `@stomp/stompjs`, on the same frames in the same run.
 * Run as a program it prints the result and writes it to `bench/results/codec.json`.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { argv, cwd, version as nodeVersion } from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseFrames } from "../shared/stomp/parser.js";
import { prepareMessage, serializeFrame } from "../shared/stomp/serializer.js";

export interface CodecRow {
  readonly case: string;
  /** Calls a second; a call handles one WebSocket message. Medians over the rounds. */
  readonly ours: number;
  readonly theirs: number;
  readonly ratio: number;
}

export interface CodecResult {
  readonly name: "codec";
  readonly node: string;
  readonly cpus: number;
  readonly date: string;
  readonly stompjs: string;
  readonly rows: readonly CodecRow[];
}

export interface RunOptions {
  /** Figures that are quoted need at least 7. */
  readonly rounds?: number;
  /** How long one side is measured in one round. */
  readonly milliseconds?: number;
}

interface RawFrame {
  headers: [string, string][];
}
interface Stompjs {
  readonly version: string;
  readonly Parser: new (
    onFrame: (frame: RawFrame) => void,
    onPing: () => void,
  ) => { parseChunk(chunk: string | Uint8Array): void };
  readonly FrameImpl: {
    fromRawFrame(raw: RawFrame, escapeHeaderValues: boolean): { readonly body: string };
    marshall(params: object): string;
  };
}

/** The package exports only its client, so the parser and the frame come from the client's own files. */
async function loadStompjs(): Promise<Stompjs> {
  const root = dirname(dirname(createRequire(import.meta.url).resolve("@stomp/stompjs")));
  const file = (name: string) => import(pathToFileURL(join(root, "esm6", name)).href);
  const { Parser } = await file("parser.js");
  const { FrameImpl } = await file("frame-impl.js");
  const { version } = createRequire(import.meta.url)(join(root, "package.json"));
  return { Parser, FrameImpl, version };
}

/** Does its work once. The caller adds up the results, so that the compiler can't drop the work. */
type Work = () => number;

interface Sample {
  readonly name: string;
  readonly command: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const KOREAN = "안녕하세요, 오늘 저녁 회의는 일곱 시에 시작합니다. ";

const SEND_HEADERS = {
  destination: "/pub/chat/message",
  "content-type": "application/json",
  receipt: "r-1024",
};

const SAMPLES: readonly Sample[] = [
  {
    name: "SEND, 200 bytes",
    command: "SEND",
    headers: SEND_HEADERS,
    body: JSON.stringify({
      roomId: 42,
      content: "See you at seven, usual place?",
      clientMessageId: "c-1024",
    }),
  },
  {
    name: "SEND, Korean",
    command: "SEND",
    headers: SEND_HEADERS,
    body: JSON.stringify({ roomId: 42, content: KOREAN, clientMessageId: "c-1024" }),
  },
  {
    name: "MESSAGE, 500 bytes, 8 headers",
    command: "MESSAGE",
    headers: {
      subscription: "sub-0",
      "message-id": "42-100017",
      destination: "/sub/chat/room/42",
      "content-type": "application/json",
      seq: "100017",
      sender: "user-7",
      "server-time": "1767225600000",
    },
    body: JSON.stringify({ roomId: 42, seq: 100017, content: "word ".repeat(50) }),
  },
  { name: "SEND, body 8 KiB", command: "SEND", headers: SEND_HEADERS, body: "0123456789abcdef".repeat(512) },
  {
    name: "SEND, body 60 KiB",
    command: "SEND",
    headers: SEND_HEADERS,
    body: "0123456789abcdef".repeat(3840),
  },
];

function parseOurs(data: string | Uint8Array): Work {
  return () => {
    let sum = 0;
    for (const frame of parseFrames(data, "1.2")) {
      sum += frame.body.length + (frame.headers.get("destination")?.length ?? 0);
    }
    return sum;
  };
}

/**
 * Does what their client does: the parser takes chunks, then the headers are unescaped into an object and the
 * body becomes text.
 */
function parseTheirs(stompjs: Stompjs, data: string | Uint8Array): Work {
  let sum = 0;
  const parser = new stompjs.Parser(
    (raw) => {
      const frame = stompjs.FrameImpl.fromRawFrame(raw, true) as {
        body: string;
        headers: Record<string, string>;
      };
      sum += frame.body.length + (frame.headers["destination"]?.length ?? 0);
    },
    () => {},
  );
  return () => {
    sum = 0;
    parser.parseChunk(data);
    return sum;
  };
}

interface Case {
  readonly name: string;
  readonly ours: Work;
  readonly theirs: Work;
}

function parseCases(stompjs: Stompjs): Case[] {
  const messages = SAMPLES.map((s) => ({
    name: s.name,
    text: serializeFrame(s.command, s.headers, s.body, "1.2"),
  }));
  messages.push({ name: "20 SENDs in one message", text: messages[0]!.text.repeat(20) });
  return messages.flatMap(({ name, text }) => {
    const bytes = new Uint8Array(Buffer.from(text));
    return [
      { name: `parse text: ${name}`, ours: parseOurs(text), theirs: parseTheirs(stompjs, text) },
      { name: `parse bytes: ${name}`, ours: parseOurs(bytes), theirs: parseTheirs(stompjs, bytes) },
    ];
  });
}

/**
 * The engine joins a text made of pieces only when the whole text is needed. Counting its bytes makes both
 * sides do that.
 */
function serializeCases({ FrameImpl }: Stompjs): Case[] {
  const cases: Case[] = SAMPLES.map(({ name, command, headers, body }) => ({
    name: `serialize: ${name}`,
    ours: () => Buffer.byteLength(serializeFrame(command, headers, body, "1.2")),
    theirs: () => Buffer.byteLength(FrameImpl.marshall({ command, headers, body, escapeHeaderValues: true })),
  }));
  const { headers, body } = SAMPLES[2]!;
  const ids = Array.from({ length: 30 }, (_, i) => `sub-${i}`);
  cases.push({
    name: "serialize: MESSAGE for 30 subscription ids",
    ours: () => {
      const message = prepareMessage(headers, body);
      return ids.reduce((sum, id) => sum + Buffer.byteLength(message(id)), 0);
    },
    theirs: () =>
      ids.reduce((sum, subscription) => {
        const params = {
          command: "MESSAGE",
          headers: { ...headers, subscription },
          body,
          escapeHeaderValues: true,
        };
        return sum + Buffer.byteLength(FrameImpl.marshall(params));
      }, 0),
  });
  return cases;
}

let checksum = 0;

/** Returns the calls a second, over at least `milliseconds`. */
function measure(work: Work, milliseconds: number): number {
  let calls = 0;
  let batch = 1;
  const start = performance.now();
  for (;;) {
    for (let i = 0; i < batch; i += 1) checksum += work();
    calls += batch;
    const elapsed = performance.now() - start;
    if (elapsed >= milliseconds) return (calls * 1000) / elapsed;
    // Reading the clock must cost nothing beside the work.
    if (elapsed < milliseconds / 10) batch *= 2;
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Both sides take turns, so that a slow moment of the machine hits both. */
function compare({ name, ours, theirs }: Case, rounds: number, milliseconds: number): CodecRow {
  if (ours() !== theirs())
    throw new Error(`${name}: the two codecs do not agree; fix this before measuring.`);
  measure(ours, milliseconds);
  measure(theirs, milliseconds);
  const results = Array.from({ length: rounds }, () => ({
    ours: measure(ours, milliseconds),
    theirs: measure(theirs, milliseconds),
  }));
  return {
    case: name,
    ours: Math.round(median(results.map((r) => r.ours))),
    theirs: Math.round(median(results.map((r) => r.theirs))),
    ratio: Number(median(results.map((r) => r.ours / r.theirs)).toFixed(1)),
  };
}

/** Measures all cases. That takes about half a minute with the defaults. */
export async function run({ rounds = 7, milliseconds = 100 }: RunOptions = {}): Promise<CodecResult> {
  const stompjs = await loadStompjs();
  const cases = [...parseCases(stompjs), ...serializeCases(stompjs)];
  return {
    name: "codec",
    node: nodeVersion,
    cpus: availableParallelism(),
    date: new Date().toISOString(),
    stompjs: stompjs.version,
    rows: cases.map((each) => compare(each, rounds, milliseconds)),
  };
}

function table(rows: readonly CodecRow[]): string {
  const number = (value: number) => value.toLocaleString("en-US").padStart(12);
  const lines = rows.map(
    (r) => `${r.case.padEnd(46)}${number(r.ours)}${number(r.theirs)}${`${r.ratio}x`.padStart(9)}`,
  );
  return [
    `${"messages a second".padEnd(46)}${"ours".padStart(12)}${"stompjs".padStart(12)}${"ratio".padStart(9)}`,
    ...lines,
  ].join("\n");
}

if (argv[1] !== undefined && fileURLToPath(import.meta.url) === argv[1]) {
  const result = await run();
  console.log(table(result.rows));
  const folder = join(cwd(), "bench", "results");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "codec.json"), `${JSON.stringify(result, null, 2)}\n`);
  if (checksum === 0) throw new Error("Nothing was measured.");
}
