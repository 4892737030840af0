import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { LOOPBACK } from "./ports.js";
import { linesOf, type Span, spansIn } from "./traceTree.js";

/** Spans are shown once none has come for this long: those of one message come from several processes. */
const QUIET_MS = 1_000;
/** Under load they are shown as they are, without waiting for the rest. */
const SPANS_AT_MOST = 2_000;
const BODY_BYTES = 8 * 1_024 * 1_024;

/** Takes spans by OTLP over HTTP in JSON, and shows each trace as a tree. */
export interface TraceScreen {
  /** The variables by which a process sends its spans here. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** `say` gets one line at a time. */
export async function startTraceScreen(say: (line: string) => void): Promise<TraceScreen> {
  let waiting: Span[] = [];
  let timer: NodeJS.Timeout | undefined;
  const show = (): void => {
    clearTimeout(timer);
    const spans = waiting.sort((a, b) => a.start - b.start);
    waiting = [];
    for (const line of linesOf(spans)) say(line);
  };
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    response.writeHead(body === undefined ? 400 : 200, { "content-type": "application/json" }).end("{}");
    waiting.push(...spansIn(body));
    clearTimeout(timer);
    if (waiting.length >= SPANS_AT_MOST) show();
    else timer = setTimeout(show, QUIET_MS);
  });
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  // It ends with its process.
  server.unref();
  const { port } = server.address() as AddressInfo;
  return {
    env: {
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `http://${LOOPBACK}:${port}/v1/traces`,
      OTEL_TRACES_EXPORTER: "otlp",
      OTEL_BSP_SCHEDULE_DELAY: "200",
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      show();
    },
  };
}

/** The parsed body; nothing where it is too long or no JSON. */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > BODY_BYTES) return undefined;
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  }
}
