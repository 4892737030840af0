import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { setAppHeader } from "./cors.js";

const HOP_BY_HOP = ["connection", "keep-alive", "transfer-encoding", "upgrade", "x-ms-invocation-id"];

/**
 * Passes a request on to the HTTP server that the app's library runs for streams, and its answer back, both
 * as streams. The library finds the invocation by the header `x-ms-invocation-id`.
 */
export function forwardToApp(
  httpUri: string,
  invocationId: string,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): { abandon(): void } {
  const { hostname, port } = new URL(httpUri);
  const forwarded = http.request({
    hostname,
    port,
    method: request.method,
    path,
    headers: {
      ...request.headers,
      "x-ms-invocation-id": invocationId,
      "x-forwarded-host": request.headers.host ?? `127.0.0.1:${request.socket.localPort}`,
      "x-forwarded-proto": "http",
    },
  });
  forwarded.on("response", (answer) => {
    for (const [name, value] of Object.entries(answer.headers))
      if (value !== undefined && !HOP_BY_HOP.includes(name)) setAppHeader(response, name, value);
    response.statusCode = answer.statusCode ?? 200;
    answer.on("error", () => response.destroy());
    answer.pipe(response);
  });
  forwarded.on("error", () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(500).end();
  });
  response.on("close", () => forwarded.destroy());
  request.pipe(forwarded);
  return {
    abandon: () => {
      request.unpipe(forwarded);
      forwarded.removeAllListeners("error").on("error", () => {});
      forwarded.destroy();
    },
  };
}
