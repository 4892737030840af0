import {
  type Attributes,
  context,
  type Link,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { ChatError } from "./errors.js";

/**
 * Spans, by OpenTelemetry's API alone. Where no provider is registered nothing is made: neither spans nor
 * what would describe them. No span holds content or tokens, and none an error's text, which may quote a
 * statement.
 */

const SCOPE = "nonstop-chat";
/** What OpenTelemetry's SDKs keep of a span's links. */
const LINKS = 128;

export { SpanKind };

/** version "-" trace-id "-" parent-id "-" trace-flags, W3C Trace Context section 3.2. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})$/;
const TRACEPARENT_CHARACTERS = 55;

/** What a `traceparent` says. Nothing for any other value: a trace is never worth a refusal. */
export function spanContextOf(traceparent: unknown): SpanContext | undefined {
  if (typeof traceparent !== "string" || traceparent.length !== TRACEPARENT_CHARACTERS) return undefined;
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

const traceparentFor = ({ traceId, spanId, traceFlags }: SpanContext): string =>
  `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;

/** The `traceparent` of a span, also of one that is not sampled. */
export const traceparentOf = (span: Span): string => traceparentFor(span.spanContext());

/** The `traceparent` of what runs now. Nothing outside of a trace. */
export function currentTraceparent(): string | undefined {
  const now = trace.getSpanContext(context.active());
  return now && trace.isSpanContextValid(now) ? traceparentFor(now) : undefined;
}

/** Runs `work` as a part of the trace that a caller has begun, where there is one. */
export function inTraceOf<T>(traceparent: string | undefined, work: () => T): T {
  const remote = spanContextOf(traceparent);
  return remote ? context.with(trace.setSpanContext(ROOT_CONTEXT, remote), work) : work();
}

/** Runs `work` that outlives the call that it was begun in, and so belongs to no trace. */
export const detached = <T>(work: () => T): T => context.with(ROOT_CONTEXT, work);

/** How a span begins. */
interface Start {
  /** Of a closed set. */
  readonly name: string;
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  readonly links?: Link[];
  /** The `traceparent` of the parent; else it is what runs now. */
  readonly parent?: string | undefined;
}

/**
 * Runs `work` in a span of its own, which ends with it. `start` is only called, and there is only a span,
 * where a provider is registered.
 */
export function inSpan<T>(start: () => Start, work: (span?: Span) => Promise<T>): Promise<T> {
  const tracer = registered();
  return tracer ? spanned(tracer, start(), work) : work();
}

/** The tracer of the registered provider; nothing where there is none. */
function registered(): Tracer | undefined {
  const provider = trace.getTracerProvider();
  return provider instanceof ProxyTracerProvider
    ? provider.getDelegateTracer(SCOPE)
    : provider.getTracer(SCOPE);
}

/** Whether an SDK for spans is registered. */
export const hasTracers = (): boolean => registered() !== undefined;

async function spanned<T>(
  tracer: Tracer,
  { name, kind = SpanKind.INTERNAL, attributes = {}, links = [], parent }: Start,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const remote = spanContextOf(parent);
  const from = remote ? trace.setSpanContext(context.active(), remote) : context.active();
  const span = tracer.startSpan(name, { kind, attributes, links }, from);
  try {
    return await context.with(trace.setSpan(from, span), () => work(span));
  } catch (error) {
    fail(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** Adds to the span that runs now, if it is recorded. */
export function annotate(attributes: () => Attributes): void {
  const span = trace.getActiveSpan();
  if (span?.isRecording()) span.setAttributes(attributes());
}

/**
 * Says what a span has failed with. A refusal that is the client's affair is no error of ours (semantic
 * conventions of HTTP spans, "Status").
 */
export function fail(span: Span | undefined, error: unknown): void {
  if (!span?.isRecording()) return;
  span.setAttribute("error.type", typeOf(error));
  if (!(error instanceof ChatError) || error.code === "UNAVAILABLE")
    span.setStatus({ code: SpanStatusCode.ERROR });
}

function typeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  const found = [code, name].find((one) => typeof one === "string" && /^\w{1,64}$/.test(one));
  return typeof found === "string" ? found : "_OTHER";
}

/** The traces that these came with: each once, and no more than a span keeps. */
export function linksTo(sources: readonly { readonly traceparent?: string }[]): Link[] {
  const found = new Map<string, Link>();
  for (const { traceparent } of sources) {
    if (traceparent === undefined || found.has(traceparent)) continue;
    const remote = spanContextOf(traceparent);
    if (remote) found.set(traceparent, { context: remote });
    if (found.size === LINKS) break;
  }
  return [...found.values()];
}
