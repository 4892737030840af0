import { createRequire } from "node:module";
import type { HttpResponse } from "@azure/functions";
import type { UpstreamAnswer } from "../shared/upstream/answer.js";

/**
 * An answer whose bytes are all there, as the Functions library takes it: an `HttpResponse`, which it hands on as it
 * is. Of a literal it makes a `Response` of the web platform, and reads the stream that this has made of the body: a
 * tenth of what a client's frame costs. Only what the library reads of an answer is here, so this is for functions
 * without HTTP streams.
 */
class WholeResponse {
  readonly status: number;
  /** Names in lower case, as in `Headers`. */
  readonly headers: ReadonlyMap<string, string>;
  readonly cookies = [];
  readonly enableContentNegotiation = false;
  readonly body: string | Uint8Array;

  constructor({ status, headers, body = "" }: UpstreamAnswer) {
    this.status = status;
    this.headers = new Map(Object.entries(headers));
    this.body = body;
  }

  async arrayBuffer(): Promise<Uint8Array> {
    return Buffer.from(this.body as string);
  }
}
// The library asks by `instanceof`. Its own constructor is what is gone round. (Node finds no export of this name in
// the library's CommonJS, so an `import` can't name it.)
const library = createRequire(import.meta.url)("@azure/functions") as typeof import("@azure/functions");
Object.setPrototypeOf(WholeResponse.prototype, library.HttpResponse.prototype);

/** The answer to an upstream call, for the Functions library. */
export const wholeResponse = (answer: UpstreamAnswer): HttpResponse =>
  new WholeResponse(answer) as unknown as HttpResponse;
