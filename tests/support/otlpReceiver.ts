import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A sum as it came last: its name, attributes and value. */
export interface Point {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface OtlpReceiver {
  readonly url: string;
  /** The latest value of a series, 0 before it came. Values are cumulative for each process that sends. */
  value(name: string, attributes?: Readonly<Record<string, string>>): number;
  readonly services: ReadonlySet<string>;
  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: OTLP's JSON, looked into
type Json = any;

const attributesOf = (list: Json[] = []): Record<string, string> =>
  Object.fromEntries(list.map(({ key, value }) => [key, String(value.stringValue ?? value.intValue)]));

/** Takes metrics by OTLP over HTTP in JSON, as a collector does. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  /** By process, then by series: the sums of several processes add up. */
  const latest = new Map<string, number>();
  const services = new Set<string>();
  const take = (body: Json): void => {
    for (const { resource, scopeMetrics } of body.resourceMetrics ?? []) {
      services.add(attributesOf(resource.attributes)["service.name"] ?? "");
      for (const metric of scopeMetrics.flatMap((scope: Json) => scope.metrics))
        for (const point of metric.sum?.dataPoints ?? []) {
          const series = JSON.stringify([metric.name, attributesOf(point.attributes)]);
          latest.set(`${point.startTimeUnixNano} ${series}`, Number(point.asInt ?? point.asDouble));
        }
    }
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    take(JSON.parse(Buffer.concat(chunks).toString()));
    response.setHeader("content-type", "application/json").end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    services,
    value(name, attributes = {}) {
      const series = JSON.stringify([name, attributes]);
      const values = [...latest].filter(([key]) => key.slice(key.indexOf(" ") + 1) === series);
      return values.reduce((sum, [, value]) => sum + value, 0);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
