import { inSpan, inTraceOf, SpanKind, traceparentOf } from "../platform/trace.js";
import type { Answer, Call, CallDeps, CallRequest } from "./call.js";

/** Runs a call as a part of the caller's trace, in a span of its own. */
export const runTraced = (call: Call, request: CallRequest, deps: CallDeps): Promise<Answer> =>
  inTraceOf(request.traceparent, () =>
    inSpan(
      () => ({ name: `${call.method} ${call.route}`, kind: SpanKind.SERVER, attributes: attributesOf(call) }),
      async (span) => {
        const answer = await call.run(
          span ? { ...request, traceparent: traceparentOf(span) } : request,
          deps,
        );
        span?.setAttribute("http.response.status_code", answer.status);
        return answer;
      },
    ),
  );

/** OpenTelemetry's semantic conventions of HTTP servers. */
const attributesOf = ({ method, route }: Call) => ({ "http.request.method": method, "http.route": route });
