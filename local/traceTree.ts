/** A span as it came by OTLP in JSON. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly name: string;
  /** Milliseconds since 1970, and its length. */
  readonly start: number;
  readonly ms: number;
  readonly attributes: ReadonlyMap<string, string>;
  /** The ids of the spans that it links to. */
  readonly links: readonly string[];
}

/** What the names of spans say already. */
const SAID = /^(messaging|http)\./;
const NAME_COLUMNS = 44;

/**
 * Lines for people: each trace as a tree of its spans, and below the span that has sent something the batch in
 * which that was handled, which is a trace of its own.
 */
export function linesOf(spans: readonly Span[]): readonly string[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const shown = new Set<Span>();
  const lines: string[] = [];
  const show = (span: Span, depth: number, mark: string): void => {
    if (shown.has(span)) return;
    shown.add(span);
    lines.push(lineOf(span, depth, mark));
    for (const child of spans) if (child.parentId === span.spanId) show(child, depth + 1, "");
    for (const batch of spans) if (batch.links.includes(span.spanId)) show(batch, depth + 1, "-> ");
  };
  const isOrigin = ({ parentId, links }: Span): boolean =>
    !ids.has(parentId) && !links.some((id) => ids.has(id));
  for (const span of spans.filter(isOrigin)) {
    lines.push("", `trace ${span.traceId}`);
    show(span, 0, "");
  }
  return lines;
}

function lineOf({ name, start, ms, attributes, links }: Span, depth: number, mark: string): string {
  const time = new Date(start).toISOString().slice(11, 23);
  const title = `${"  ".repeat(depth)}${mark}${name}`.padEnd(NAME_COLUMNS);
  const others = [...attributes].filter(([key]) => !SAID.test(key) && key !== "error.type");
  const facts = others.map(([key, value]) => `${key.replace(/^chat\./, "")}=${value}`);
  const error = attributes.get("error.type");
  const several = links.length > 1 ? [`messages=${links.length}`] : [];
  return [
    `${time}  ${title} ${ms.toFixed(1).padStart(8)} ms `,
    ...(error ? [`!${error}`] : []),
    ...several,
    ...facts,
  ]
    .join(" ")
    .trimEnd();
}

type Members = Readonly<Record<string, unknown>>;

const membersOf = (value: unknown): Members =>
  typeof value === "object" && value !== null ? { ...value } : {};
const listOf = (value: unknown): readonly Members[] => (Array.isArray(value) ? value.map(membersOf) : []);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** To the microsecond, which is as exact as a number can be. */
function millisecondsOf(nanoseconds: unknown): number {
  const text = textOf(nanoseconds);
  return /^\d{1,20}$/.test(text) ? Number(BigInt(text) / 1_000n) / 1_000 : 0;
}

/** The spans of an export. What is none is passed over. */
export const spansIn = (body: unknown): readonly Span[] =>
  listOf(membersOf(body)["resourceSpans"])
    .flatMap((resource) => listOf(resource["scopeSpans"]))
    .flatMap((scope) => listOf(scope["spans"]))
    .map((span) => ({
      traceId: textOf(span["traceId"]),
      spanId: textOf(span["spanId"]),
      parentId: textOf(span["parentSpanId"]),
      name: textOf(span["name"]),
      start: millisecondsOf(span["startTimeUnixNano"]),
      ms: millisecondsOf(span["endTimeUnixNano"]) - millisecondsOf(span["startTimeUnixNano"]),
      attributes: new Map(
        listOf(span["attributes"]).map(({ key, value }) => [
          textOf(key),
          String(Object.values(membersOf(value))[0] ?? ""),
        ]),
      ),
      links: listOf(span["links"]).map((link) => textOf(link["spanId"])),
    }));
