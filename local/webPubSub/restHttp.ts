import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { MAX_MESSAGE_BYTES } from "./frames.js";
import { badRequest, type RestAnswer, type RestError } from "./restCall.js";
import { SUPPORTED_VERSIONS } from "./restQuery.js";

/** Reads a call's body whole. A body that is too long is answered here. */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  done: (body: Buffer) => void,
): void {
  const chunks: Buffer[] = [];
  let size = 0;
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= MAX_MESSAGE_BYTES) chunks.push(chunk);
    else if (!response.headersSent) tooLarge(request, response);
  });
  request.on("end", () => {
    if (size <= MAX_MESSAGE_BYTES) done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
  });
  request.on("error", () => response.destroy());
}

/**
 * A body of more than 1 MB is a bad request, as in the vendor's emulator. It is answered at once and the
 * connection ends: reading the rest would only keep the sender busy.
 */
function tooLarge(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader("Connection", "close");
  respond(response, failed(badRequest("Invalid Content-Length header.")));
  const timer = setTimeout(() => request.socket.destroy(), 1000);
  timer.unref();
}

/** The answer to a refused call. */
export function failed({ status, code, message, target }: RestError): RestAnswer {
  return { status, body: { code, message, ...(target === undefined ? {} : { target }) } };
}

/** Writes an answer. */
export function respond(response: ServerResponse, { status, body, errorCode }: RestAnswer): void {
  response.setHeader("api-supported-versions", SUPPORTED_VERSIONS);
  if (errorCode !== undefined) response.setHeader("x-ms-error-code", errorCode);
  if (body === undefined) {
    response.writeHead(status, status === 204 ? {} : { "Content-Length": 0 }).end();
    return;
  }
  const json = Buffer.from(JSON.stringify(body));
  const headers: Record<string, string | number> = {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": json.length,
  };
  if ("code" in body) headers["x-ms-error-code"] = String(body.code);
  response.writeHead(status, headers).end(json);
}

/** Answers bytes that are not HTTP. */
export function answerGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    error.code === "HPE_HEADER_OVERFLOW" ? "431 Request Header Fields Too Large" : "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}
