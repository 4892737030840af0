import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TokenCredential } from "@azure/identity";
import { type CryptoKey, createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from "jose";
import { LOOPBACK } from "../../local/ports.js";

/** Who the identity is: the claims of its tokens, and the client id by which it is asked for. */
export const OBJECT_ID = "0b1ec7ed-0000-4000-8000-00000000000a";
export const CLIENT_ID = "c11e4700-0000-4000-8000-00000000000a";
const HEADER = "secret of this endpoint";

export interface Issued {
  readonly token: string;
  readonly audience: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** What gives out tokens to a Function App's identity, on this machine. */
export interface TokenEndpoint {
  /** What App Service sets for an app with a managed identity. */
  readonly env: Readonly<Record<string, string>>;
  readonly issuer: string;
  readonly jwksUri: string;
  /** How long tokens live from now on. */
  lifetimeMs: number;
  /** Gives out nothing while it is set. */
  isDown: boolean;
  readonly issued: readonly Issued[];
  /** An endpoint that gives out the tokens for one audience in place of this one. */
  elsewhere: { readonly audience: string; readonly url: string; readonly header: string } | undefined;
  /** Called with each token before it is given out. */
  onIssued: (issued: Issued) => Promise<void>;
  /** Throws unless the token is one of this endpoint's, for this audience, and not over. */
  verify(token: string, audience: string): Promise<{ readonly expiresAt: number }>;
  close(): Promise<void>;
}

/**
 * A credential that asks an endpoint each time. The SDK's own keeps the first endpoint of a process for good.
 */
export const credentialOf = ({ env }: TokenEndpoint): TokenCredential => ({
  async getToken(scopes) {
    const resource = encodeURIComponent(String(scopes).replace(/\/\.default$/, ""));
    const answer = await fetch(`${env["IDENTITY_ENDPOINT"]}?resource=${resource}&client_id=${CLIENT_ID}`, {
      headers: { "X-IDENTITY-HEADER": HEADER },
    });
    if (!answer.ok) throw new Error(`no token: ${answer.status}`);
    const { access_token, expires_on } = (await answer.json()) as Record<string, string>;
    return { token: access_token ?? "", expiresOnTimestamp: Number(expires_on) * 1_000 };
  },
});

/** Starts an endpoint as App Service has it (`IDENTITY_ENDPOINT`), which signs real tokens. */
export async function startTokenEndpoint(lifetimeMs = 3_600_000): Promise<TokenEndpoint> {
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const keys = { keys: [{ ...(await exportJWK(publicKey)), alg: "RS256", use: "sig", kid: "k" }] };
  const local = createLocalJWKSet(keys);
  const issued: Issued[] = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? "", "http://x");
    const answer = (status: number, body: unknown): void =>
      void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (url.pathname === "/keys") return answer(200, keys);
    const isRight =
      request.headers["x-identity-header"] === HEADER && url.searchParams.get("client_id") === CLIENT_ID;
    if (!isRight) return answer(401, { statusCode: 401, message: "who are you?" });
    if (endpoint.isDown) return answer(500, { statusCode: 500, message: "down" });
    const { elsewhere } = endpoint;
    if (elsewhere && url.searchParams.get("resource") === elsewhere.audience) {
      const headers = { "X-IDENTITY-HEADER": elsewhere.header };
      const given = await fetch(`${elsewhere.url}${url.search}`, { headers });
      return answer(given.status, await given.json());
    }
    const one = await issue(url.searchParams.get("resource") ?? "", endpoint, privateKey);
    issued.push(one);
    await endpoint.onIssued(one);
    answer(200, {
      access_token: one.token,
      expires_on: String(Math.floor(one.expiresAt / 1_000)),
      resource: one.audience,
      token_type: "Bearer",
      client_id: CLIENT_ID,
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, LOOPBACK, resolve));
  const base = `http://${LOOPBACK}:${(server.address() as AddressInfo).port}`;
  const endpoint: TokenEndpoint = {
    env: { IDENTITY_ENDPOINT: `${base}/token`, IDENTITY_HEADER: HEADER, AZURE_CLIENT_ID: CLIENT_ID },
    issuer: `${base}/tenant`,
    jwksUri: `${base}/keys`,
    lifetimeMs,
    isDown: false,
    issued,
    elsewhere: undefined,
    onIssued: async () => {},
    async verify(token, audience) {
      const { payload } = await jwtVerify(token, local, { issuer: endpoint.issuer, audience });
      return { expiresAt: (payload.exp ?? 0) * 1_000 };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return endpoint;
}

/** Whole seconds, as tokens have them. */
async function issue(
  audience: string,
  { issuer, lifetimeMs }: TokenEndpoint,
  key: CryptoKey,
): Promise<Issued> {
  const expires = Math.ceil((Date.now() + lifetimeMs) / 1_000);
  const token = await new SignJWT({ oid: OBJECT_ID, jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: "RS256", kid: "k" })
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime(expires)
    .sign(key);
  return { token, audience, expiresAt: expires * 1_000 };
}
