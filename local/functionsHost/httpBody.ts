import type { IncomingMessage } from "node:http";

/**
 * The request's bytes, whether a Content-Length announced them or they came in chunks. `undefined` without a
 * body.
 */
export async function readBody(
  request: IncomingMessage,
  most: number,
): Promise<Buffer | undefined | "too large" | "aborted"> {
  const length = request.headers["content-length"];
  if (length === undefined && request.headers["transfer-encoding"] === undefined) return undefined;
  if (Number(length ?? 0) > most) return "too large";
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    // Leaving the loop early must not close the socket: the answer still has to go out.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += (chunk as Buffer).length;
      if (size > most) return "too large";
      chunks.push(chunk as Buffer);
    }
  } catch {
    return "aborted";
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}
