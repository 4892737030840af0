import { createServer } from "node:net";
import { Redis } from "ioredis";
import { passOn, type SocketServer, serving } from "./socketServer.js";
import { OBJECT_ID, type TokenEndpoint } from "./tokenEndpoint.js";

/** The audience of tokens for Azure Managed Redis. */
const AUDIENCE = "https://redis.azure.com";

/**
 * Lets nobody into the servers at `urls` but the identity, with the tokens that `endpoint` gives out: each
 * becomes a password of its user when it is given out, and none when it is over.
 */
export async function letInTokensOf(endpoint: TokenEndpoint, urls: readonly string[]) {
  const admins = urls.map((url) => new Redis(url, { lazyConnect: true, retryStrategy: () => null }));
  const timers = new Set<NodeJS.Timeout>();
  for (const admin of admins) {
    admin.on("error", () => {});
    await admin.connect();
    await admin.acl("SETUSER", "default", "resetpass", ">of the test alone", "on");
    await admin.acl("SETUSER", OBJECT_ID, "reset", "on", "~*", "&*", "+@all");
  }
  const all = (rule: string) =>
    Promise.all(admins.map((admin) => admin.acl("SETUSER", OBJECT_ID, rule).catch(() => {})));
  endpoint.onIssued = async ({ token, audience, expiresAt }) => {
    if (audience !== AUDIENCE) return;
    await all(`>${token}`);
    timers.add(setTimeout(() => void all(`<${token}`), expiresAt - Date.now()));
  };
  return {
    admins,
    close() {
      for (const timer of timers) clearTimeout(timer);
      for (const admin of admins) admin.disconnect();
    },
  };
}

/** What ends a connection when the token that it last logged in with is over, as Azure Managed Redis does. */
export interface ExpiringProxy extends SocketServer {
  /** How many connections were ended because their token was over. */
  readonly ended: number;
  /** The tokens of each connection so far, in order. */
  readonly logins: readonly (readonly string[])[];
}

/** Passes everything on to a Redis on `to`, and reads the `AUTH` commands on the way. */
export async function startExpiringProxy(endpoint: TokenEndpoint, to: number): Promise<ExpiringProxy> {
  const logins: string[][] = [];
  let ended = 0;
  const server = createServer((client) => {
    const own: string[] = [];
    logins.push(own);
    let timer: NodeJS.Timeout | undefined;
    client.on("data", (bytes) => {
      for (const [, token] of bytes.toString("latin1").matchAll(AUTH)) {
        own.push(token ?? "");
        const expiresAt = endpoint.issued.find((each) => each.token === token)?.expiresAt ?? 0;
        clearTimeout(timer);
        timer = setTimeout(() => {
          ended += 1;
          client.destroy();
        }, expiresAt - Date.now());
      }
    });
    client.on("close", () => clearTimeout(timer));
    passOn(client, to);
  });
  return {
    ...(await serving(server)),
    get ended() {
      return ended;
    },
    logins,
  };
}

/** A log-in as a client writes it, by `AUTH user token` or by `HELLO 3 AUTH user token`: bulk strings. */
const AUTH = /\$4\r\nauth\r\n\$\d+\r\n[^\r]*\r\n\$\d+\r\n([^\r]*)\r\n/gi;
