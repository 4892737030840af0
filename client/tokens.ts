import { ChatError } from "./errors.js";
import { within } from "./timing.js";

/** Where access tokens come from: called when one is needed, with a new one each time the last is about to end. */
export type TokenSource = () => string | Promise<string>;

export interface Token {
  readonly text: string;
  readonly userId: number;
  /** By the issuer's clock, milliseconds since 1970. */
  readonly expiresAt: number;
  /** When this client got it. */
  readonly receivedAt: number;
}

const SOURCE_TIMEOUT_MS = 20_000;
/** One that ends sooner is not used for another call. */
const LEAST_LEFT_MS = 5_000;

/** The token in use. */
export class Tokens {
  #token: Token | undefined;
  #asking: Promise<Token> | undefined;

  constructor(private readonly source: TokenSource) {}

  get current(): Token | undefined {
    return this.#token;
  }

  /** The token in use, or a new one when that is about to end. Rejects with a `ChatError`. */
  async get(): Promise<Token> {
    const token = this.#token;
    return token && token.expiresAt - Date.now() > LEAST_LEFT_MS ? token : this.renew();
  }

  /** A new one from the source; calls at the same time share it. Rejects with a `ChatError`. */
  renew(): Promise<Token> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<Token> {
    let text: string;
    try {
      text = await within(SOURCE_TIMEOUT_MS, "the token source did not answer", async () => this.source());
    } catch (cause) {
      if (cause instanceof ChatError) throw cause;
      throw new ChatError("OFFLINE", `no access token: ${(cause as Error)?.message ?? cause}`, { cause });
    }
    this.#token = readToken(text);
    return this.#token;
  }
}

/** What the token says about itself; that it is genuine is the service's to check. */
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
