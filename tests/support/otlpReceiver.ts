import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface OtlpReceiver {
  readonly url: string;
  /**
   * The latest value of a series, of a histogram its count, summed over all processes that send; 0 before it
   * came.
   */
  value(name: string, attributes?: Readonly<Record<string, string>>): number;
  /** Whether a series is there, whatever its value. */
  has(name: string, attributes?: Readonly<Record<string, string>>): boolean;
  /** Whether it was in the latest export of metrics. */
  hasNow(name: string, attributes?: Readonly<Record<string, string>>): boolean;
  readonly services: ReadonlySet<string>;
  /** The attributes of each process that has sent something. */
  readonly resources: readonly Readonly<Record<string, string>>[];
  /** The spans that have come, in the order of their coming. */
  readonly spans: readonly ReceivedSpan[];
  /** Every request, also one that was not taken. */
  readonly requests: number;
  /** What it does from now on: takes metrics, answers with a status, or never answers. */
  answer: 200 | 400 | 503 | "nothing";
  close(): Promise<void>;
}

/** A span as it stands in OTLP's JSON. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly events: readonly unknown[];
  readonly status: { readonly code?: number; readonly message?: string };
}

// biome-ignore lint/suspicious/noExplicitAny: OTLP's JSON, looked into
type Json = any;

const attributesOf = (list: Json[] = []): Record<string, string> =>
  Object.fromEntries(
    list
      .map(({ key, value }) => [key, String(value.stringValue ?? value.intValue)] as const)
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  );

const seriesOf = (name: string, attributes: Readonly<Record<string, string>>): string =>
  JSON.stringify([name, Object.entries(attributes).sort()]);

const spanOf = (span: Json): ReceivedSpan => ({
  ...span,
  attributes: attributesOf(span.attributes),
  links: span.links ?? [],
  events: span.events ?? [],
  status: span.status ?? {},
});

/** How a stack is told to count at the address of a receiver. */
export const countingAt = (url: string): Record<string, string> => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  OTEL_METRIC_EXPORT_INTERVAL: "300",
  OTEL_TRACES_EXPORTER: "none",
});

/** How it is told to send spans there, too. */
export const TRACING = { OTEL_TRACES_EXPORTER: "otlp", OTEL_BSP_SCHEDULE_DELAY: "100" } as const;

/**
 * Takes metrics and spans by OTLP over HTTP in JSON. Like a collector it tells series apart by resource, name and
 * attributes. `GET /open-limits` tells other processes of `chat.limits.open` (`openLimits.ts`).
 */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const resources = new Map<string, { attributes: Record<string, string>; latest: Map<string, number> }>();
  const exports = new Map<string, number>();
  const spans: ReceivedSpan[] = [];
  let now = new Set<string>();
  let requests = 0;
  const take = (body: Json): void => {
    if (body.resourceMetrics) now = new Set();
    for (const { resource, scopeMetrics } of body.resourceMetrics ?? []) {
      const attributes = attributesOf(resource.attributes);
      const key = JSON.stringify(attributes);
      exports.set(key, (exports.get(key) ?? 0) + 1);
      const known = resources.get(key) ?? { attributes, latest: new Map() };
      resources.set(key, known);
      for (const metric of scopeMetrics.flatMap((scope: Json) => scope.metrics))
        for (const point of (metric.sum ?? metric.gauge ?? metric.histogram)?.dataPoints ?? []) {
          const series = seriesOf(metric.name, attributesOf(point.attributes));
          now.add(series);
          known.latest.set(series, Number(point.asInt ?? point.asDouble ?? point.count));
        }
    }
    for (const { scopeSpans } of body.resourceSpans ?? [])
      for (const span of scopeSpans.flatMap((scope: Json) => scope.spans)) spans.push(spanOf(span));
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    requests += 1;
    const { answer } = receiver;
    if (answer === "nothing") return;
    if (request.url === "/open-limits")
      return void response.end(
        JSON.stringify({ count: receiver.value("chat.limits.open"), exports: Object.fromEntries(exports) }),
      );
    if (request.method !== "POST" || !/^\/v1\/(metrics|traces)$/.test(request.url ?? ""))
      return void response.writeHead(404).end();
    if (answer === 200) take(JSON.parse(Buffer.concat(chunks).toString()));
    response.writeHead(answer, { "content-type": "application/json" }).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const receiver: OtlpReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: 200,
    spans,
    get requests() {
      return requests;
    },
    get resources() {
      return [...resources.values()].map(({ attributes }) => attributes);
    },
    get services() {
      return new Set([...resources.values()].map(({ attributes }) => attributes["service.name"] ?? ""));
    },
    value(name, attributes = {}) {
      const series = seriesOf(name, attributes);
      return [...resources.values()].reduce((sum, { latest }) => sum + (latest.get(series) ?? 0), 0);
    },
    hasNow: (name, attributes = {}) => now.has(seriesOf(name, attributes)),
    has(name, attributes = {}) {
      const series = seriesOf(name, attributes);
      return [...resources.values()].some(({ latest }) => latest.has(series));
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return receiver;
}
