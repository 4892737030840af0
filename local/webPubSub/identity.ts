import { createSign, createVerify, generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import type { Config } from "./config.js";
import { type Claims, checkTimes, parseObject, splitToken, TokenError } from "./tokens.js";

type Settings = NonNullable<Config["managedIdentity"]>;

/**
 * The audience that the SDKs ask a token for (scope `https://webpubsub.azure.com/.default`), and that REST
 * calls must bring.
 */
const REST_AUDIENCE = "https://webpubsub.azure.com";
/**
 * The identity of the application that asks the token endpoint. In Azure, too, it is another one than the
 * service's.
 */
const APPLICATION_OBJECT_ID = "00000000-0000-4000-8000-00000000a991";
const TOKEN_SECONDS = 3_600;
/** A token that goes into a call has at least this long to live. */
const LEFT_SECONDS = 600;
const API_VERSION = "2019-08-01";

export interface IssuedToken {
  readonly access_token: string;
  /** Seconds since 1970; a string in App Service. */
  readonly expires_on: string;
  readonly resource: string;
  readonly token_type: "Bearer";
}

/**
 * Stands in for Entra ID: signs RS256 tokens with a key pair that it makes at the start. Its tokens are for
 * two identities: that of this service, for upstream calls, and that of the application, which asks for
 * tokens as in App Service and Functions.
 */
export class Identity {
  readonly #settings: Settings;
  readonly #keyId = randomUUID();
  readonly #publicKey: KeyObject;
  readonly #privateKey: KeyObject;
  #upstream = { token: "", expires: 0 };

  constructor(settings: Settings) {
    this.#settings = settings;
    const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
    this.#publicKey = pair.publicKey;
    this.#privateKey = pair.privateKey;
  }

  /** The public key as a JWK set (RFC 7517). */
  keySet(): object {
    const { kty, n, e } = this.#publicKey.export({ format: "jwk" });
    return { keys: [{ kty, n, e, use: "sig", alg: "RS256", kid: this.#keyId }] };
  }

  /** The service's token for an upstream call. Many calls share one token. */
  upstreamToken(nowMs = Date.now()): string {
    const now = Math.floor(nowMs / 1000);
    if (this.#upstream.expires - now < LEFT_SECONDS) {
      const { audience, objectId } = this.#settings;
      this.#upstream = {
        token: this.#sign(audience, objectId, now),
        expires: now + TOKEN_SECONDS,
      };
    }
    return this.#upstream.token;
  }

  /** Answers the managed identity endpoint of App Service. Undefined for a call that is not valid there. */
  issue(query: URLSearchParams, header: unknown, nowMs = Date.now()): IssuedToken | undefined {
    const resource = query.get("resource");
    if (header !== this.#settings.identityHeader || query.get("api-version") !== API_VERSION || !resource)
      return undefined;
    const now = Math.floor(nowMs / 1000);
    return {
      access_token: this.#sign(resource, APPLICATION_OBJECT_ID, now),
      expires_on: String(now + TOKEN_SECONDS),
      resource,
      token_type: "Bearer",
    };
  }

  /** Throws TokenError unless we issued this token for REST calls and it is valid now. */
  verifyRest(token: string, nowMs = Date.now()): void {
    const { head, payload, signature } = splitToken(token);
    if (parseObject(head)["alg"] !== "RS256") throw new TokenError("The token's algorithm must be RS256.");
    const verify = createVerify("sha256").update(`${head}.${payload}`);
    if (!verify.verify(this.#publicKey, signature)) throw new TokenError("The token's signature is false.");
    const claims: Claims = parseObject(payload);
    checkTimes(claims, nowMs / 1000);
    const audience = typeof claims["aud"] === "string" ? claims["aud"].replace(/\/$/, "") : undefined;
    if (claims["iss"] !== this.#settings.issuer || audience !== REST_AUDIENCE)
      throw new TokenError(`The token's issuer must be this server's, its audience ${REST_AUDIENCE}.`);
  }

  #sign(aud: string, oid: string, now: number): string {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const { issuer: iss } = this.#settings;
    const claims = { iss, aud, oid, sub: oid, iat: now, nbf: now, exp: now + TOKEN_SECONDS };
    const signed = `${encode({ alg: "RS256", typ: "JWT", kid: this.#keyId })}.${encode(claims)}`;
    return `${signed}.${createSign("sha256").update(signed).sign(this.#privateKey).toString("base64url")}`;
  }
}
