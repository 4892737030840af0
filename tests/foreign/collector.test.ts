import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { freePort } from "../../local/ports.js";
import { makeRoom, newUsers, until } from "../support/client.js";
import { TRACING } from "../support/otlpReceiver.js";
import { ownStack } from "../support/ownStack.js";
import { openConnected } from "../support/rawSocket.js";
import { CACHE } from "./cache.js";
import { missing } from "./program.js";

// A collector of OpenTelemetry, made of its own modules, between the app and a file.

const absent = missing(["go"]).join(" and ");
const folder = mkdtempSync(join(tmpdir(), "collector-"));
const written = join(folder, "received.jsonl");
let collector: ChildProcess | undefined;

afterAll(() => {
  collector?.kill();
  rmSync(folder, { recursive: true, force: true });
});

const configFor = (port: number): string => `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}" } } } }
exporters: { file: { path: "${written}" } }
service:
  telemetry: { metrics: { level: none } }
  pipelines:
    traces: { receivers: [otlp], exporters: [file] }
    metrics: { receivers: [otlp], exporters: [file] }
`;

/** Builds and starts it, and returns the settings of an app that sends to it. */
async function startCollector(): Promise<Record<string, string>> {
  const kept = join(CACHE, "collector");
  const program = join(kept, "program");
  mkdirSync(program, { recursive: true });
  cpSync("tests/foreign/collector", program, { recursive: true });
  const env = {
    ...process.env,
    GOMODCACHE: join(kept, "modules"),
    GOCACHE: join(kept, "builds"),
    GOFLAGS: `${process.env["GOFLAGS"] ?? ""} -modcacherw`,
  };
  execFileSync("go", ["build", "-o", "collector", "."], { cwd: program, env, timeout: 10 * 60_000 });
  const port = await freePort();
  writeFileSync(join(folder, "config.yaml"), configFor(port));
  collector = spawn(join(program, "collector"), ["--config", `file:${join(folder, "config.yaml")}`], {
    stdio: "ignore",
  });
  return { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, ...TRACING };
}

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
}

/** Of a member of the lines' objects, all that lies below the two members within. */
function received<T>(of: string, scope: string, member: string): readonly T[] {
  if (!existsSync(written)) return [];
  const lines = readFileSync(written, "utf8").split("\n").slice(0, -1);
  return lines
    .flatMap((line) => JSON.parse(line)[of] ?? [])
    .flatMap((resource) => resource[scope])
    .flatMap((one) => one[member]);
}

const spans = (): readonly Span[] => received("resourceSpans", "scopeSpans", "spans");

async function span(name: string, is: (one: Span) => boolean): Promise<Span> {
  await until(() => spans().some((one) => one.name === name && is(one)), `a span ${name}`);
  return spans().find((one) => one.name === name && is(one))!;
}

describe.skipIf(absent !== "")(`OpenTelemetry's collector${absent && ` (skipped: no ${absent})`}`, () => {
  const stack = ownStack(startCollector);

  test("has the trace of a message, linked to by that of its batch, and the metrics", async () => {
    const [user] = newUsers(1) as [number];
    const roomId = await makeRoom([user], stack.addresses);
    const socket = await openConnected(user, "1.2", undefined, "", stack.addresses.webPubSub);
    socket.send(`SEND\ndestination:/pub/chat/message\nreceipt:1\n\n{"roomId":${roomId},"content":"a"}\0`);
    expect(await socket.next()).toContain("receipt-id:1");
    const frame = await span("SEND /pub/chat/message", () => true);
    const sent = await span("send chat-messages", (one) => one.parentSpanId === frame.spanId);
    expect(sent.traceId).toBe(frame.traceId);
    const isLinked = ({ links = [] }: Span): boolean => links.some(({ spanId }) => spanId === sent.spanId);
    const batch = await span("process chat-messages", isLinked);
    expect(batch.links).toMatchObject([{ traceId: frame.traceId, spanId: sent.spanId }]);
    for (const name of ["store chat-messages", "broadcast chat-messages"])
      expect((await span(name, (one) => one.parentSpanId === batch.spanId)).traceId).toBe(batch.traceId);
    const names = () =>
      received<{ name: string }>("resourceMetrics", "scopeMetrics", "metrics").map(({ name }) => name);
    for (const name of ["chat.sessions.opened", "chat.batch.duration", "chat.mysql.connections"])
      await until(() => names().includes(name), name);
    await socket.close();
  });
});
