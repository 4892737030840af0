import type { IncomingMessage } from "node:http";

/**
 * The request's bytes, whether a Content-Length announced them or they came in chunks. `undefined` without a
 * body. Where there are too many the rest is left unread, and the socket stays open for the answer.
 */
export function readBody(
  request: IncomingMessage,
  most: number,
): Promise<Buffer | undefined | "too large" | "aborted"> {
  const length = request.headers["content-length"];
  if (length === undefined && request.headers["transfer-encoding"] === undefined)
    return Promise.resolve(undefined);
  if (Number(length ?? 0) > most) return Promise.resolve("too large");
  if (request.destroyed && !request.readableEnded) return Promise.resolve("aborted");
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > most) {
        request.off("data", take).pause();
        resolve("too large");
      } else chunks.push(chunk);
    };
    request
      .on("data", take)
      .on("end", () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)))
      .on("error", () => resolve("aborted"))
      .on("close", () => resolve("aborted"));
  });
}
