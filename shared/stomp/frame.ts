/** The words of the STOMP codec: versions, frames, headers and the one error it throws. */
import { ChatError } from "../platform/errors.js";

export type StompVersion = "1.0" | "1.1" | "1.2";

/**
 * A frame's headers, unescaped. Of repeated headers only the first counts (STOMP 1.2 "Repeated Header
 * Entries").
 */
export interface Headers extends Iterable<readonly [name: string, value: string]> {
  /** The header's value; names are case sensitive. */
  get(name: string): string | undefined;
  /**
   * The value as it stood on the wire, still escaped: so it goes back to the same client exactly as the
   * client wrote it. CONNECT is never escaped; its values are given as they would stand in an escaped frame.
   */
  wire(name: string): string | undefined;
  /** In the order of the frame, without repeats. */
  [Symbol.iterator](): IterableIterator<readonly [name: string, value: string]>;
}

export interface Frame {
  readonly command: string;
  readonly headers: Headers;
  /** Empty when the frame has none. */
  readonly body: string;
}

export type StompErrorCode = "MALFORMED_FRAME" | "MESSAGE_TOO_LARGE";

/**
 * A frame that can't be read or written. STOMP wants an ERROR frame for it, and the connection closed (STOMP
 * 1.2, "ERROR").
 */
export class StompError extends ChatError {
  declare readonly code: StompErrorCode;
  /**
   * The whole frames before the bad one in the same WebSocket message, which are still to be carried out
   * first.
   */
  readonly framesBefore: readonly Frame[];
  /**
   * The `receipt-id` of the ERROR frame: the bad frame's `receipt` as it stood on the wire, where its headers
   * could be read.
   */
  readonly receipt: string | undefined;

  constructor(code: StompErrorCode, message: string, framesBefore: readonly Frame[] = [], receipt?: string) {
    super(code, message);
    this.framesBefore = framesBefore;
    this.receipt = receipt;
  }
}

const QUOTED_LENGTH = 40;

/**
 * At most 40 characters of a client's text, quoted and escaped, fit to stand in an error message or a log.
 */
export function quote(text: string): string {
  const cut = text.length > QUOTED_LENGTH;
  return JSON.stringify(cut ? `${text.slice(0, QUOTED_LENGTH)}…` : text);
}

/**
 * Headers over names and values in turn, decoded and as they stood on the wire. A frame has few headers:
 * going through them is faster than building a map.
 */
export function headerList(fields: readonly string[], wireFields: readonly string[] = fields): Headers {
  return new HeaderList(fields, wireFields);
}

class HeaderList implements Headers {
  readonly #fields: readonly string[];
  readonly #wireFields: readonly string[];

  constructor(fields: readonly string[], wireFields: readonly string[]) {
    this.#fields = fields;
    this.#wireFields = wireFields;
  }

  get(name: string): string | undefined {
    const at = this.#indexOf(name);
    return at < 0 ? undefined : this.#fields[at + 1];
  }

  wire(name: string): string | undefined {
    const at = this.#indexOf(name);
    return at < 0 ? undefined : this.#wireFields[at + 1];
  }

  #indexOf(name: string): number {
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] === name) return i;
    }
    return -1;
  }

  *[Symbol.iterator](): IterableIterator<readonly [string, string]> {
    const fields = this.#fields;
    const seen = new Set<string>();
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i]!;
      if (seen.has(name)) continue;
      seen.add(name);
      yield [name, fields[i + 1]!];
    }
  }
}
