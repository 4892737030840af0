import { ChatError, textOf } from "./errors.js";
import { type ChatTiming, within } from "./timing.js";

/**
 * Answers with an access token. Called when one is needed, and for a new one each time the last is about to
 * end.
 */
export type TokenSource = () => string | Promise<string>;

export interface Token {
  readonly text: string;
  readonly userId: number;
  /** By the issuer's clock, milliseconds since 1970. */
  readonly expiresAt: number;
  /** When this client got it. */
  readonly receivedAt: number;
}

/** The token in use. */
export class Tokens {
  #token: Token | undefined;
  #asking: Promise<Token> | undefined;

  readonly #source: TokenSource;
  readonly #timing: ChatTiming;

  constructor(source: TokenSource, timing: ChatTiming) {
    this.#source = source;
    this.#timing = timing;
  }

  get current(): Token | undefined {
    return this.#token;
  }

  /** The token in use, or a new one when that is about to end. Rejects with a `ChatError`. */
  async get(): Promise<Token> {
    const token = this.#token;
    return token && token.expiresAt - Date.now() > this.#timing.leastTokenMs ? token : this.renew();
  }

  /** Asks the source for a new one. Calls at the same time share it. Rejects with a `ChatError`. */
  renew(): Promise<Token> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<Token> {
    let text: string;
    try {
      const ms = this.#timing.tokenTimeoutMs;
      text = await within(ms, "the token source did not answer", async () => this.#source());
    } catch (cause) {
      if (cause instanceof ChatError) throw cause;
      throw new ChatError("OFFLINE", `no access token: ${textOf(cause)}`, { cause });
    }
    this.#token = readToken(text);
    return this.#token;
  }
}

/** Reads what the token says about itself. The service checks that it is genuine. */
function readToken(text: string): Token {
  try {
    const payload = text.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/");
    const { sub, exp } = JSON.parse(atob(payload)) as { sub?: string; exp?: number };
    const userId = Number(sub);
    if (Number.isSafeInteger(userId) && userId > 0 && typeof exp === "number")
      return { text, userId, expiresAt: exp * 1_000, receivedAt: Date.now() };
  } catch {
    // Said below.
  }
  throw new ChatError(
    "UNAUTHORIZED",
    "the token source must answer with a JWT that has sub, a user id, and exp",
  );
}
